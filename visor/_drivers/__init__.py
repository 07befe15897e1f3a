"""The only sockets, tasks, threads, clocks and environment of the client; `aio` and `blocking` offer the same names."""
