"""The audit: who was let in, was refused, and changed what others may do; one JSON line each, chained by hash.

    auditor.record(recorded.DENIED, user="ci", credential="k3x9q2mv7a", address="10.0.0.7", verb="SET", path="/a")

A value is never in it, nor a secret; `line.FIELDS` is all that can be. What is recorded, and in which of the two
chains, is in `recorded`; how lines are chained in `line` and `chain`; where they are kept in `book`; who may write how
many in `flood`; `auditor` puts it together on the event loop.
"""
