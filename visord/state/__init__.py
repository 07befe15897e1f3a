"""The replicated state: a tree of files with one revision number, and the machine that changes it.

Pure and deterministic: no clock, no randomness, no I/O, no environment. Start with `store` (what is kept and
how it is read), then `machine` (how it changes), then `query` (read messages to answers). `exporting`, `importing` and
`tables` take all of it out and in; `leases` and `lease_commands` are what is kept alive.
"""
