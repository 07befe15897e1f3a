"""The wire between `visor` and `visord`: defined once, shared by both sides, free of I/O.

`visor/docs/protocol.md` is the specification. Start with `verbs` (what can be said), then
`frames` (bytes to messages and back), `codes` (how a request can fail) and `limits`.
"""
