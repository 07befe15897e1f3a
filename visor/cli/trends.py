"""How lag and throughput of each member went in the last looks: `visor cluster status --watch`. Pure."""

from __future__ import annotations

from collections import deque
from typing import Final

from visor.cli.cluster import reports
from visor.cli.spark import spark
from visor.cli.top.figures import Rate, rate
from visor.cli.views import Cells, View
from visor.members import Report, Survey, lag

LOOKS: Final = 60
"""A minute at one a second."""
ROOM: Final = 20
"""Columns of a picture."""
CALM: Final = 10.0
"""Entries of lag that are drawn as nearly nothing: a busy member is never quite without."""


class Trends:
    """What surveys said of each member, by its name. Gone with the member."""

    def __init__(self) -> None:
        self._behind: dict[str, deque[Rate]] = {}
        self._speed: dict[str, deque[Rate]] = {}
        self._last: dict[str, tuple[float, int | None]] = {}
        """When it was asked, and its rev then."""

    def add(self, at: float, survey: Survey) -> None:
        """Take what a survey at `at` (monotonic seconds) says."""
        names = {report.member.name for report in survey.reports}
        for name in set(self._last) - names:
            del self._behind[name], self._speed[name], self._last[name]
        for report in survey.reports:
            name, rev = report.member.name, report.number("rev")
            then, before = self._last.get(name, (at, None))
            self._last[name] = (at, rev)
            behind = report.member.behind if report.status is None else lag(report)
            self._behind.setdefault(name, deque(maxlen=LOOKS)).append(behind)
            self._speed.setdefault(name, deque(maxlen=LOOKS)).append(rate(before, rev, at - then))

    def lag(self, name: str, blocks: bool) -> str:
        """Draw how many entries a member lacked."""
        return spark(list(self._behind.get(name, ())), ROOM, blocks, CALM)

    def speed(self, name: str, blocks: bool) -> str:
        """Say and draw how many revs a second a member took."""
        speeds = list(self._speed.get(name, ()))
        now = speeds[-1] if speeds else None
        return f"{'-' if now is None else format(now, '.0f'):>6} {spark(speeds, ROOM, blocks)}"


def trending(trends: Trends, blocks: bool) -> View[Report]:
    """Rows of `cluster status --watch`: for people also how lag and throughput went."""
    known = reports()
    at = known.columns.index("behind") + 1

    def cells(each: Report) -> list[Cells]:
        (row,) = known.cells(each)
        name = each.member.name
        drawn = (trends.lag(name, blocks), trends.speed(name, blocks))
        return [(*row[:at], *drawn, *row[at:])]

    columns = (*known.columns[:at], "lag", "revs/s", *known.columns[at:])
    return View(known.shape, known.plain, columns, cells)
