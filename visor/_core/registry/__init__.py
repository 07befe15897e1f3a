"""The domain without I/O: its records, their names and places, what may follow on what."""
