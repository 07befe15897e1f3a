"""What one look at the registry found, and what became of it since the last: rates, percentiles, the last minutes.

    past = Past()
    past.add(look_of(survey, at=12.0, ...))
    past.add(look_of(survey, at=13.0, ...))
    past.writes[-1]                      # commits a second between the two

Pure: time comes with each look. What a member does not tell, or what was away, is None: a gap, and no zero.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final, NamedTuple

from visor._core.percentile import percentile
from visor.cli.cluster import fetching
from visor.cli.top.hot import Churn, Hot
from visor.cli.views import time_of
from visor.members import Report, Survey, lag

KEPT: Final = 600
"""Looks that are remembered: ten minutes at one a second."""
MINUTE: Final = 60.0

Rate = float | None


class Figures(NamedTuple):
    """What one member told of itself."""

    name: str
    role: str
    client: str
    state: str
    """`ok`, `alarm` or `away`."""
    behind: int | None
    rev: int | None
    reads: int | None
    """Since it started, as `events`."""
    events: int | None
    watches: int | None
    connections: int | None
    log_bytes: int | None
    commit: tuple[float | None, float | None] = (None, None)
    """Milliseconds: the middle one, and the longest of a hundred, as the leader measured them."""
    version: str = ""
    note: str = ""
    """What it is about, in words: a checkpoint that it fetches."""


class Look(NamedTuple):
    """What one look found."""

    at: float
    """Monotonic seconds."""
    time: datetime
    cluster: str
    leader: str
    """Its name; empty while there is none."""
    term: int
    rev: int
    files: int | None
    members: tuple[Figures, ...]
    problems: tuple[str, ...]
    reads: tuple[float, ...] = ()
    """How long reads took that were asked from here, in milliseconds."""
    changes: Churn | None = None
    untold: str = ""
    """Why nothing is known of what was changed."""


def look_of(
    survey: Survey,
    at: float,
    time: datetime,
    reads: Iterable[float] = (),
    changes: Churn | None = None,
    untold: str = "",
) -> Look:
    """Return what a survey says, with what else was measured."""
    membership = survey.membership
    leader = membership.find(membership.leader or "")
    members = tuple(_figures(report) for report in survey.reports)
    revs = [member.rev for member in members if member.rev is not None]
    files = [report.number("files") for report in survey.reports if report.status is not None]
    return Look(
        at=at,
        time=time,
        cluster=membership.cluster,
        leader=leader.name if leader is not None else "",
        term=membership.term,
        rev=max(revs, default=membership.rev),
        files=next((one for one in files if one is not None), None),
        members=members,
        problems=survey.problems,
        reads=tuple(reads),
        changes=changes,
        untold=untold,
    )


def _figures(report: Report) -> Figures:
    member, status = report.member, report.status or {}
    number = report.number
    return Figures(
        name=member.name,
        role=member.role,
        client=member.client,
        state="away" if report.status is None else "alarm" if report.alarms else "ok",
        behind=member.behind if report.status is None else lag(report),
        rev=number("rev"),
        reads=number("reads"),
        events=number("events"),
        watches=number("watches"),
        connections=number("connections"),
        log_bytes=number("log_bytes"),
        commit=_commit(status.get("commit")) if member.leader else (None, None),
        version=str(status.get("server", "")).removeprefix("visord/"),
        note=fetching(status.get("install")),
    )


def _commit(told: Any) -> tuple[float | None, float | None]:
    if not isinstance(told, dict):
        return None, None
    found = [told.get(name) for name in ("p50_ms", "p99_ms")]
    middle, long = (float(one) if isinstance(one, int | float) else None for one in found)
    return middle, long


class Past:
    """The last looks, and what they add up to. All of it is bounded."""

    def __init__(self) -> None:
        self.looks = 0
        self.last: Look | None = None
        self.writes: deque[Rate] = deque(maxlen=KEPT)
        """A second, as the next two."""
        self.reads: deque[Rate] = deque(maxlen=KEPT)
        self.events: deque[Rate] = deque(maxlen=KEPT)
        self.commit: deque[tuple[Rate, Rate]] = deque(maxlen=KEPT)
        """Milliseconds: the middle one, and the longest of a hundred, as the next."""
        self.asked: deque[tuple[Rate, Rate]] = deque(maxlen=KEPT)
        self.behind: dict[str, deque[Rate]] = {}
        """By the member's name."""
        self.by_member: dict[str, tuple[Rate, Rate]] = {}
        """Its reads and events a second."""
        self.hot = Hot()
        self._took: deque[tuple[float, float]] = deque(maxlen=KEPT * 4)

    def add(self, look: Look) -> None:
        """Take what the next look found."""
        before, self.last = self.last, look
        self.looks += 1
        seconds = look.at - before.at if before is not None else 0.0
        known = {member.name: member for member in before.members} if before is not None else {}
        self.by_member = {one.name: _rates(known.get(one.name), one, seconds) for one in look.members}
        self.writes.append(rate(before.rev if before is not None else None, look.rev, seconds))
        self.reads.append(_sum(reads for reads, _ in self.by_member.values()))
        self.events.append(_sum(events for _, events in self.by_member.values()))
        self._add_latencies(look)
        for name in set(self.behind) - {member.name for member in look.members}:
            del self.behind[name]
        for member in look.members:
            self.behind.setdefault(member.name, deque(maxlen=KEPT)).append(member.behind)
        if look.changes is not None:
            self.hot.add(look.at, look.changes)

    def _add_latencies(self, look: Look) -> None:
        leading = [member.commit for member in look.members if member.role == "leader"]
        self.commit.append(leading[0] if leading else (None, None))
        self._took.extend((look.at, each) for each in look.reads)
        took = sorted(each for at, each in self._took if at > look.at - MINUTE)
        self.asked.append((percentile(took, 0.5), percentile(took, 0.99)))

    def shape(self, directories: int) -> dict[str, Any]:
        """Return the JSON of the last look."""
        assert self.last is not None
        look = self.last
        return {
            "time": time_of(look.time),
            "cluster": look.cluster,
            "leader": look.leader or None,
            "term": look.term,
            "rev": look.rev,
            "writes": _rounded(self.writes[-1]),
            "reads": _rounded(self.reads[-1]),
            "events": _rounded(self.events[-1]),
            "commit_ms": dict(zip(("p50", "p99"), self.commit[-1], strict=True)),
            "read_ms": dict(zip(("p50", "p99"), map(_rounded, self.asked[-1]), strict=True)),
            "members": [self._member(each) for each in look.members],
            "hot": [{"directory": name, "changes": count} for name, count in self.hot.ranked()[:directories]],
            "problems": list(look.problems),
        }

    def _member(self, member: Figures) -> dict[str, Any]:
        reads, events = self.by_member[member.name]
        return {
            "name": member.name,
            "role": member.role,
            "client": member.client,
            "state": member.state,
            "behind": member.behind,
            "reads": _rounded(reads),
            "events": _rounded(events),
            "watches": member.watches,
            "connections": member.connections,
            "log_bytes": member.log_bytes,
        }


def rate(before: int | None, now: int | None, seconds: float) -> Rate:
    """Return how much it grew a second; None when one of the two is not known, or it began anew."""
    if before is None or now is None or seconds <= 0 or now < before:
        return None
    return (now - before) / seconds


def _rates(before: Figures | None, now: Figures, seconds: float) -> tuple[Rate, Rate]:
    if before is None:
        return None, None
    return rate(before.reads, now.reads, seconds), rate(before.events, now.events, seconds)


def _sum(rates: Iterable[Rate]) -> Rate:
    known = [each for each in rates if each is not None]
    return sum(known) if known else None


def _rounded(value: Rate) -> Rate:
    return None if value is None else round(value, 3)
