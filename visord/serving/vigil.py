"""What operators hear of without asking: trouble when it begins, while it lasts, and when it is over.

    vigil = Vigil()
    for line in vigil.tick(now, sight): ...      # once a second, with what is to be seen of the node then

Pure: time and sight come in, lines go out; `lookout` sees and logs. What is told, and how often it is told again:

    alarms             raised (warning), every minute while they last, cleared (info) once they were away for 5 s
    no leader          after 3 s, then every 10 s: how many voters can be reached, and who cannot, with the reason
    members away       after 10 s, then every minute; the connection itself told at once that it was lost
    members silent     connected and answering nothing for 5 s: stopped, or hanging; every minute; when they answer
    this process       that it stood still, and for how long
    long work          every 2 s how far it is, in bytes or files, and percent
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple, TypeAlias

from visord.progress import SECONDS as PROGRESS_SECONDS
from visord.progress import amount, percent

LOOK_SECONDS: Final = 1.0
STILL_SECONDS: Final = 5.0
"""A process whose timers are late by so much stood still. On a busy machine they may be late by a second or two."""
REPEAT_SECONDS: Final = 60.0
CLEARED_SECONDS: Final = 5.0
"""An alarm that comes back within this time was not cleared."""
LEADERLESS_SECONDS: Final = 3.0
"""An election takes less."""
AGAIN_SECONDS: Final = 10.0
AWAY_SECONDS: Final = 10.0
SILENT_SECONDS: Final = 5.0

Fields: TypeAlias = Mapping[str, Any]


class Space(NamedTuple):
    """How full a file system is, in bytes."""

    free: int
    """What this process may still allocate."""
    total: int


class Line(NamedTuple):
    """A line of the log: a level of `logging`, words for people, keys for programs (`logs.KEYS`)."""

    level: int
    text: str
    fields: Fields


class Other(NamedTuple):
    """Another member, as this node sees it."""

    id: str
    name: str
    address: str
    """Its peer address."""
    voter: bool
    reachable: bool
    problem: str = ""
    """Why it is not reachable."""
    silent: float | None = None
    """Seconds since it answered, where this node leads."""

    @property
    def named(self) -> str:
        """What to call it."""
        return f"{self.name} ({self.id})"


class Work(NamedTuple):
    """Something that takes long. `unit`: what is counted, `MB` of bytes or a word."""

    what: str
    done: int
    of: int
    unit: str


class Sight(NamedTuple):
    """What is to be seen of a node at a moment."""

    alarms: tuple[str, ...] = ()
    leader: str | None = None
    votes: bool = True
    """This node itself."""
    ready: bool = True
    """It has served; before that, the start tells what it waits for."""
    others: tuple[Other, ...] = ()
    work: tuple[Work, ...] = ()


class _Trouble:
    """Something that lasts: since when, and when it is told again."""

    __slots__ = ("again", "gone", "since", "text")

    def __init__(self, now: float, again: float, text: str = "") -> None:
        self.since = now
        self.again = again
        self.gone: float | None = None
        """Since when it is not to be seen any more."""
        self.text = text

    def due(self, now: float, every: float) -> bool:
        """Tell whether it is to be told (again), and note that it is."""
        if now < self.again:
            return False
        self.again = now + every
        return True


class Vigil:
    """Remembers what was told of one node. See the module."""

    def __init__(self) -> None:
        self._last: float | None = None
        self._alarms: dict[str, _Trouble] = {}
        self._leaderless: _Trouble | None = None
        self._away: dict[str, _Trouble] = {}
        self._silent: dict[str, _Trouble] = {}
        self._work: dict[str, float] = {}
        """When each is told of next."""

    def tick(self, now: float, sight: Sight | None) -> list[Line]:
        """Return what is to be told at `now`, in monotonic seconds. No sight: there is no node yet, or no more."""
        last, self._last = self._last, now
        if sight is None:
            self._last = None  # it is being loaded, at full speed
            return []
        lines = list(self._stood_still(now, last))
        lines += self._look_at_alarms(now, sight)
        lines += self._look_for_a_leader(now, sight)
        lines += self._look_at_others(now, sight)
        lines += self._look_at_work(now, sight)
        return lines

    def _stood_still(self, now: float, last: float | None) -> Iterator[Line]:
        still = 0.0 if last is None else now - last - LOOK_SECONDS
        if still >= STILL_SECONDS:
            text = f"this process stood still for {still:.0f} s: it was stopped, or the machine had no time for it"
            yield Line(logging.WARNING, text, {"seconds": round(still, 1)})

    def _look_at_alarms(self, now: float, sight: Sight) -> Iterator[Line]:
        raised: dict[str, str] = {}
        for alarm in sight.alarms:
            raised.setdefault(alarm.partition(":")[0], alarm)
        for word, text in raised.items():
            trouble = self._alarms.get(word)
            if trouble is None:
                self._alarms[word] = _Trouble(now, now + REPEAT_SECONDS, text)
                yield Line(logging.WARNING, f"alarm raised: {text}", {"alarm": word})
                continue
            trouble.gone, trouble.text = None, text
            if trouble.due(now, REPEAT_SECONDS):
                lasts = now - trouble.since
                fields = {"alarm": word, "seconds": round(lasts)}
                yield Line(logging.WARNING, f"alarm goes on for {lasts:.0f} s: {text}", fields)
        for word in [one for one in self._alarms if one not in raised]:
            trouble = self._alarms[word]
            trouble.gone = now if trouble.gone is None else trouble.gone
            if now - trouble.gone >= CLEARED_SECONDS:
                del self._alarms[word]
                lasted = trouble.gone - trouble.since
                fields = {"alarm": word, "seconds": round(lasted)}
                yield Line(logging.INFO, f"alarm cleared after {lasted:.0f} s: {word}", fields)

    def _look_for_a_leader(self, now: float, sight: Sight) -> Iterator[Line]:
        trouble = self._leaderless
        if sight.leader is not None or not sight.ready:
            self._leaderless = None
            if trouble is not None and now - trouble.since >= LEADERLESS_SECONDS:
                lasted = now - trouble.since
                yield Line(
                    logging.INFO, f"there is a leader again after {lasted:.0f} s", {"seconds": round(lasted)}
                )
            return
        if trouble is None:
            trouble = self._leaderless = _Trouble(now, now + LEADERLESS_SECONDS)
        lasts = now - trouble.since
        if trouble.due(now, AGAIN_SECONDS - lasts % AGAIN_SECONDS):
            yield _leaderless(lasts, sight)

    def _look_at_others(self, now: float, sight: Sight) -> Iterator[Line]:
        for other in sight.others:
            yield from self._look_at_absence(now, other)
            yield from self._look_at_silence(now, other)
        known = {one.id for one in sight.others}
        for told in (self._away, self._silent):
            for member in [one for one in told if one not in known]:
                del told[member]

    def _look_at_absence(self, now: float, other: Other) -> Iterator[Line]:
        if other.reachable:
            self._away.pop(other.id, None)
            return
        trouble = self._away.setdefault(other.id, _Trouble(now, now + AWAY_SECONDS))
        if trouble.due(now, REPEAT_SECONDS):
            lasts = now - trouble.since
            why = other.problem or "not reachable"
            text = f"{other.named} at {other.address} has been away for {lasts:.0f} s: {why}"
            yield Line(logging.WARNING, text, _of(other, lasts) | {"address": other.address})

    def _look_at_silence(self, now: float, other: Other) -> Iterator[Line]:
        quiet = other.silent if other.reachable else None
        if quiet is None or quiet < SILENT_SECONDS:
            trouble = self._silent.pop(other.id, None)
            if trouble is not None and quiet is not None:
                lasted = now - trouble.since
                yield Line(
                    logging.INFO, f"{other.named} answers again after {lasted:.0f} s", _of(other, lasted)
                )
            return
        trouble = self._silent.setdefault(other.id, _Trouble(now - quiet, now))
        if trouble.due(now, REPEAT_SECONDS):
            text = (
                f"{other.named} is connected and has answered nothing for {quiet:.0f} s: its process is stopped, or "
                "its disk or machine hangs"
            )
            yield Line(logging.WARNING, text, _of(other, quiet))

    def _look_at_work(self, now: float, sight: Sight) -> Iterator[Line]:
        self._work = {one.what: self._work.get(one.what, now + PROGRESS_SECONDS) for one in sight.work}
        for work in sight.work:
            if now >= self._work[work.what]:
                self._work[work.what] = now + PROGRESS_SECONDS
                yield progress(work)


def progress(work: Work) -> Line:
    """Return the line that tells how far something is."""
    done = percent(work.done, work.of)
    if work.unit == "MB":
        fields = {"bytes": work.done, "of_bytes": work.of, "percent": done}
        return Line(logging.INFO, f"{work.what}: {amount(work.done, work.of)}", fields)
    text = f"{work.what}: {work.done} of {work.of} {work.unit}, {done} %"
    return Line(logging.INFO, text, {"percent": done})


def _of(other: Other, seconds: float) -> dict[str, Any]:
    return {"member": other.name, "member_id": other.id, "seconds": round(seconds, 1)}


def _leaderless(seconds: float, sight: Sight) -> Line:
    voters = [one for one in sight.others if one.voter]
    count = len(voters) + sight.votes
    reachable = sum(one.reachable for one in voters) + sight.votes
    needed = count // 2 + 1
    away = [
        f"{one.named} at {one.address} ({one.problem or 'not reachable'})"
        for one in voters
        if not one.reachable
    ]
    if reachable < needed:
        what = f"no majority for {seconds:.0f} s: {reachable} of {count} voters can be reached, {needed} are needed"
    else:
        what = f"no leader for {seconds:.0f} s, although {reachable} of {count} voters can be reached"
    text = what + (f"; not reachable: {', '.join(away)}" if away else "")
    fields = {"seconds": round(seconds), "voters": count, "reachable": reachable, "needed": needed}
    return Line(logging.WARNING, text, fields)
