"""What is recorded, and in which chain.

Two chains, each with files of its own. In `access` is what anybody can bring about by asking: denials, logins. It is
bounded for each who asks (`flood`). In `changes` is what only those do who may: rights, members, backups. Nobody who is
merely refused can push a line out of it.
"""

from __future__ import annotations

from typing import Final

ACCESS: Final = "access"
CHANGES: Final = "changes"
CHAINS: Final = (ACCESS, CHANGES)

DENIED: Final = "denied"
WOULD_DENY: Final = "would_deny"
LOGIN: Final = "login"
LOGIN_FAILED: Final = "login_failed"
PEER_REFUSED: Final = "peer_refused"
RIGHTS: Final = "rights"
MEMBERS: Final = "members"
BACKUP: Final = "backup"
REDACTION: Final = "redaction"
RETAIN: Final = "retain"
STARTED: Final = "started"
TORN: Final = "torn"
LOST: Final = "lost"

CHAIN_OF: Final = {
    DENIED: ACCESS,  # somebody asked for what he may not
    WOULD_DENY: ACCESS,  # the registry is open, and somebody asked for what he may not once it is closed
    LOGIN: ACCESS,  # somebody has proven who he is
    LOGIN_FAILED: ACCESS,  # somebody could not
    PEER_REFUSED: ACCESS,  # somebody who wanted to be a member was not let in
    RIGHTS: CHANGES,  # users, roles, tokens, grants
    MEMBERS: CHANGES,  # who belongs to the cluster, or leads it
    BACKUP: CHANGES,  # somebody took all there is
    REDACTION: CHANGES,  # values were taken out of history
    RETAIN: CHANGES,  # history was cut
    STARTED: CHANGES,  # this member started
}
"""The chain of each event that is recorded. `torn` (what a power cut left of a line was cut off) and `lost` (lines
could not be written) stand in the chain that they are about."""
