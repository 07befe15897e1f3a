"""How many answers are owed to each member: a question beyond them is refused at once, and costs no memory.

    owed = Owed(16)
    if owed.begin("5f..."): ask(lambda answer: (owed.end("5f..."), send(answer)))

What a leader has to confirm waits for a round, or until its leadership ends; a member that asks without waiting must
not fill it.
"""

from __future__ import annotations

from collections import Counter


class Owed:
    """See the module. `most`: answers owed to one member at once, more than an honest one waits for."""

    def __init__(self, most: int) -> None:
        self.most = most
        self._counts: Counter[str] = Counter()

    def begin(self, member: str) -> bool:
        """A member asks; false: too much is owed to it already."""
        if self._counts[member] >= self.most:
            return False
        self._counts[member] += 1
        return True

    def end(self, member: str) -> None:
        """It is answered."""
        self._counts[member] -= 1
        if not self._counts[member]:
            del self._counts[member]
