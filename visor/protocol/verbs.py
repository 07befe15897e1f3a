"""Numbers of the wire: verbs, reply kinds, guards, operations, change kinds, selectors.

Every message is one msgpack array. A client's message starts `[verb, id, ...]`, a server's
`[kind, id, ...]`. All numbers are below 128, so that each takes one byte. Trailing fields that equal
their default may be left out. `visor/docs/protocol.md` gives every layout; this file only names the numbers.
"""

from __future__ import annotations

from typing import Final

VERSION: Final = 1
"""Protocol version spoken by this code; both sides use the highest that they share."""

# -- connection ---------------------------------------------------------------------------------------
HELLO: Final = 0
PING: Final = 1
CANCEL: Final = 2

# -- reads: [verb, id, ..., at, mode, ...] ------------------------------------------------------------
GET: Final = 10
STAT: Final = 11
LIST: Final = 12
SCAN: Final = 13
REV: Final = 14
LOG: Final = 15
DIFF: Final = 16
AT: Final = 17
STATUS: Final = 18
LEASES: Final = 19
ACCESS: Final = 20
"""A question about roles, users and tokens."""

# -- writes: [verb, id, acked, ...] -------------------------------------------------------------------
SET: Final = 30
DELETE: Final = 31
TXN: Final = 32
REVERT: Final = 33
NOP: Final = 34
RETAIN: Final = 35
GRANT: Final = 36
REVOKE: Final = 37
EXPIRE_LEASE: Final = 38
"""Never from a client: the leader proposes it."""
RETRY: Final = 39
AUTH: Final = 40
"""A change of roles, users or tokens."""
REDACT: Final = 41
"""Take values out of history."""

WRITES: Final = frozenset((SET, DELETE, TXN, REVERT, NOP, RETAIN, GRANT, REVOKE, RETRY, AUTH, REDACT))
"""What a client may ask for: a leader takes nothing else from another member either."""
FIRST_WRITE: Final = 30
LAST_WRITE: Final = 49

# -- watches ------------------------------------------------------------------------------------------
WATCH: Final = 50
UNWATCH: Final = 51
CREDIT: Final = 52
PROGRESS: Final = 53

# -- leases: asked of the leader, which alone measures time -------------------------------------------
KEEPALIVE: Final = 60
LEASE: Final = 61

# -- operators ----------------------------------------------------------------------------------------
MEMBERS: Final = 70
ADMIN: Final = 71
PASSWORD: Final = 73
"""A password is compared, or made into a digest. Never a write: no password comes into a log."""

# -- before HELLO: of a machine that is to become a member --------------------------------------------
JOIN: Final = 72
"""A question for the cluster's authority, or for a certificate with a token to join. It takes the place of HELLO."""

# -- server to client ---------------------------------------------------------------------------------
OK: Final = 100
ERROR: Final = 101
COMMITS: Final = 110
MARK: Final = 111
ENDED: Final = 112
STATE: Final = 113
GOAWAY: Final = 120
ADDRESSES: Final = 121

# -- read modes ---------------------------------------------------------------------------------------
LINEARIZABLE: Final = 0
STALE: Final = 1

# -- guard kinds of SET and DELETE, and of a transaction's guards -------------------------------------
G_NONE: Final = 0
"""Unconditional."""
G_REV: Final = 1
"""The file's rev equals the argument exactly; 0 means that the file is missing."""
G_MISSING: Final = 2
"""There is no such file (a directory does not count as one)."""
G_SINCE: Final = 3
"""Not changed, created or deleted after the argument; for a directory: nothing below it."""
G_EXISTS: Final = 4
"""The file exists."""
G_VALUE: Final = 5
"""The file exists and its value equals the argument (transactions only)."""
G_BELOW: Final = 6
"""The file exists and its rev is below the argument (transactions only)."""
G_ABOVE: Final = 7
"""The file exists and its rev is above the argument (transactions only)."""

# -- operations inside a transaction ------------------------------------------------------------------
T_SET: Final = 0
T_DELETE: Final = 1
T_GET: Final = 2
T_LIST: Final = 3

# -- change kinds, also bits of a watch's mask (1 << kind) --------------------------------------------
CREATE: Final = 1
UPDATE: Final = 2
REMOVE: Final = 3
EXPIRE: Final = 4

ALL_KINDS: Final = (1 << CREATE) | (1 << UPDATE) | (1 << REMOVE) | (1 << EXPIRE)

# -- selectors: [kind, text], [SEL_RANGE, start, end] or [SEL_ANY, [selector, ...]] --------------------
SEL_PATH: Final = 0
"""Exactly this file."""
SEL_TREE: Final = 1
"""The path itself and everything below it."""
SEL_CHILDREN: Final = 2
"""Files directly in this directory."""
SEL_GLOB: Final = 3
"""Globs: `?` one character and `*` a run within a component, `**` a run across components."""
SEL_RANGE: Final = 4
"""Files from `start` (inclusive) to `end` (exclusive) in path order."""
SEL_ANY: Final = 5
"""Files that any of several selectors means; none of these is such a list itself."""

# -- node kinds in STAT and LIST ----------------------------------------------------------------------
N_MISSING: Final = 0
N_FILE: Final = 1
N_DIRECTORY: Final = 2

# -- watch flags (bits) -------------------------------------------------------------------------------
W_PREVIOUS: Final = 1
"""Send the value that each change replaced."""
W_STATE: Final = 2
"""Send the matching files at the starting rev first, as STATE messages, then the changes after it."""
W_KEYS: Final = 4
"""Leave the values out."""
