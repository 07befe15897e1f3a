"""The disk: what a node keeps there, and how it survives crashes, damage and full disks.

`disk` is the only way to files; `directory` owns a data directory; `checkpoint` writes and loads the state,
on `segments` (history files), `manifest` and `compaction`; `incoming` and `outgoing` fetch and offer one; `worker`
takes blocking work off the loop. The log lies above, in `visord.raft`; `visord.check` verifies a whole directory.
"""
