"""Leases at a node: what is kept alive, and what has ended.

service     answers KEEPALIVE and LEASE, and proposes the end of what nobody keeps
questions   asked at any node, answered by the leader
leadership  whether this node leads: by its own word, and for sure
lessor      how long each lease has left, on the leader's clock; pure

Which leases there are is part of the replicated state: `visord/state/leases.py`, `lease_commands.py`.
"""
