"""The client without I/O: no await, no socket, no thread, no clock. Time and chance come in as arguments."""
