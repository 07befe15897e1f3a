"""Members that were added and have not answered yet: so many at once, and for so long.

Anybody who holds the secret can have members added that there are not. Each would take one of the places, be dialled by
all for ever, and keep out the one that has its name or address. So the configuration notes which have never answered a
leader (`Configuration.newcomers`):

    added: a newcomer --+-- answers, and gets a vote                      none any more (with its vote)
                        +-- answers, and gets none in `PROVE_SECONDS`     none any more (an entry)
                        +-- has not answered for `GRACE_SECONDS`          goes if its place, name or address is wanted
                        `-- has not answered for `FORGET_SECONDS`         goes

One that goes is forgotten, not removed: it never had a say, so its id may come again. Of several that can go for
another, it is the oldest of the host with most newcomers. One that is added while none can go waits, in turn of callers
(`callers`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Final

from visord.addresses import split
from visord.raft.configuration import MAX_MEMBERS, Configuration, Member

NEWCOMERS: Final = 16
"""At once."""
PROVE_SECONDS: Final = 5.0
"""Before it is noted that a newcomer has answered: most have their vote by then, which says the same."""
GRACE_SECONDS: Final = 30.0
"""A newcomer has so long to answer before it goes for another."""
FORGET_SECONDS: Final = 300.0
"""It goes anyway."""


class Newcomers:
    """See the module. `time()` gives monotonic seconds, `answered(member)` tells as leader who has answered."""

    def __init__(self, time: Callable[[], float], answered: Callable[[str], bool]) -> None:
        self._time = time
        self._answered = answered
        self._since: dict[str, float] = {}
        """When this node first saw each newcomer."""
        self._led_since = 0.0

    def tick(self, configuration: Configuration, led_since: float) -> None:
        """From time to time; `led_since`: when this node began to lead: none had to answer it before."""
        self._led_since = led_since
        if configuration.newcomers or self._since:
            now = self._time()
            self._since = {one: self._since.get(one, now) for one in configuration.newcomers}

    def _age(self, member: str) -> float:
        now = self._time()
        return now - max(self._since.get(member, now), self._led_since)

    def _late(self, configuration: Configuration, seconds: float) -> list[str]:
        """Return those that have not answered for so long, the oldest first."""
        late = [
            one for one in configuration.newcomers if not self._answered(one) and self._age(one) >= seconds
        ]
        return sorted(late, key=self._age, reverse=True)

    def take_in(self, now: Configuration, member: Member) -> Configuration | None:
        """Return the configuration with a new learner, without the one that has to go for it; None: not yet.

        Raises `ConfigurationError`.
        """
        if any(one.id == member.id for one in now.members) or member.id in now.removed:
            return now.add(member)
        late = self._late(now, GRACE_SECONDS)
        for one in now.members:
            if member.name == one.name or member.peer == one.peer:
                if one.id not in now.newcomers:
                    return now.add(member)  # which says what is wrong
                if one.id not in late:
                    return None
                now = now.forget(one.id)
        if len(now.newcomers) >= NEWCOMERS or (len(now.members) >= MAX_MEMBERS and now.newcomers):
            hosts = Counter(_host(one.peer) for one in now.members if one.id in now.newcomers)
            there = {one.id: hosts[_host(one.peer)] for one in now.members}
            rest = [one for one in late if one in now.newcomers]
            if not rest:
                return None
            now = now.forget(max(rest, key=lambda one: there[one]))
        return now.add(member)

    def revised(self, now: Configuration) -> Configuration:
        """Return the configuration as it should be by now: without one that is overdue, or with those that answered."""
        overdue = self._late(now, FORGET_SECONDS)
        if overdue:
            return now.forget(overdue[0])
        proven = [one for one in now.newcomers if self._answered(one) and self._age(one) >= PROVE_SECONDS]
        return now.prove(proven)


def _host(address: str) -> str:
    return split(address)[0]
