"""How long one address may take to accept and greet: pure.

One that swallows packets must not use up the time of the others, which may be short: calls have their deadlines, and
leases end. So each address has half of the time that is left. Where that would be too little for a far one, it grows
from round to round, until it is the whole of what an address may take.
"""

from __future__ import annotations

LEAST_SECONDS = 0.25
"""In the first round. Connecting and greeting takes two round trips: enough for a node beyond an ocean."""
MOST_DOUBLINGS = 16


def greeting_seconds(left: float, most: float, addresses: int, attempt: int) -> float:
    """Return the seconds for one of so many addresses, when the caller has `left`, at most `most`.

    `attempt` counts the rounds through all addresses since one was of use, from 1 on.
    """
    if addresses < 2:
        return most
    least = LEAST_SECONDS * 2.0 ** min(max(0, attempt - 1), MOST_DOUBLINGS)
    return min(most, max(least, left / 2))
