"""The server as its clients and operators see it: over sockets, signals and files."""
