"""Consensus: one member's engine on pysyncobj, and the durable log below it.

`engine` is what a node uses; `core` holds every touch of pysyncobj; `log` is the journal, with `records`
(bytes), `segments` (files), `recovery` (reading back), `durable_mark` and `vote` under it; `inspection` looks at a
log from outside.
"""
