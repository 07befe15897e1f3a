"""The registry server. `DESIGN.md` beside this file explains how the parts fit; start there.

`node.Node` is one member of a cluster without sockets; `server.Server` puts sockets, timers and signals
around it; `cli` is what an operator types.
"""
