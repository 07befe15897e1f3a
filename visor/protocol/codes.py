"""How a request can fail: one word per cause, and the family that says what the caller may believe.

Families (DESIGN, "Reads, writes, retries"):

- `REJECTED`: it did not happen, and the same request will fail again until something changes.
- `UNAVAILABLE`: it was not accepted; sending it again is safe.
- `UNKNOWN`: it may have happened.
"""

from __future__ import annotations

from typing import Final

REJECTED: Final = "rejected"
UNAVAILABLE: Final = "unavailable"
UNKNOWN: Final = "unknown"

FAMILY: Final[dict[str, str]] = {
    # details: path, expected, actual
    "rev_mismatch": REJECTED,
    # details: path, and rev where a past one was read
    "not_found": REJECTED,
    # details: path, actual
    "exists": REJECTED,
    # details: path
    "is_directory": REJECTED,
    # details: path (the file that is in the way)
    "not_directory": REJECTED,
    # details: lease
    "lease_not_found": REJECTED,
    # details: lease
    "lease_exists": REJECTED,
    # details: path, why
    "bad_path": REJECTED,
    # details: glob, why
    "bad_glob": REJECTED,
    # details: path, guard (its position), expected, actual
    "guard_failed": REJECTED,
    # details: floor, rev
    "compacted": REJECTED,
    # details: rev (the latest), asked
    "future_rev": REJECTED,
    # details: what, limit, actual
    "too_large": REJECTED,
    # details: field, expected, actual
    "bad_request": REJECTED,
    "denied": REJECTED,
    # details: expected, actual
    "wrong_cluster": REJECTED,
    # details: supported
    "unsupported": REJECTED,
    # details: member
    "no_member": REJECTED,
    # details: voters, needed, reachable (of a change of the members that would end in a lost majority), or behind
    "unsafe": REJECTED,
    # details: path, free; or what, limit, actual
    "no_space": UNAVAILABLE,
    # details: leader
    "not_leader": UNAVAILABLE,
    "no_quorum": UNAVAILABLE,
    # details: what, limit
    "overloaded": UNAVAILABLE,
    "closing": UNAVAILABLE,
    # details: rev (where this node was seen to differ from the others)
    "diverged": UNAVAILABLE,
    # details: file, offset (what of this node's history cannot be read; the others may have it)
    "history_damaged": UNAVAILABLE,
    "deadline": UNAVAILABLE,
    "cancelled": UNAVAILABLE,
    "lost_leadership": UNKNOWN,
    "session_lost": UNKNOWN,
    "unsettled": UNKNOWN,
    "internal": UNKNOWN,
}
