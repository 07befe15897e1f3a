"""`visor cluster status --watch`: the same rows again and again, with pictures of how it went.

On a terminal they are drawn anew in place, until `q` or Ctrl-C; elsewhere they follow each other, in JSON an object a
line.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

from visor._core.drawing import draws_blocks
from visor._core.harmless import harmless
from visor.cli import cluster as shapes
from visor.cli.output import Output
from visor.cli.screen import rows
from visor.cli.settings import Settings
from visor.cli.trends import Trends, trending
from visor.cli.views import OBJECTS
from visor.errors import VisorError
from visor.members import Survey

if TYPE_CHECKING:
    from visor.cli.top.terminal import Screen


def watch(
    ask: Callable[[], Survey], settings: Settings, output: Output, interval: float, count: int | None
) -> None:
    """Show what `ask()` says each `interval` seconds, `count` times."""
    trends = Trends()
    if output.form == "table" and output.terminal and settings.environment.get("TERM") != "dumb":
        _live(ask, settings, output, trends, interval, count)
        return
    for number in _times(count):
        began = time.monotonic()
        survey = ask()
        trends.add(began, survey)
        if output.is_json:
            members = [shapes.report_shape(report) for report in survey.reports]
            output.stream([{**shapes.status_head(survey), "members": members}], OBJECTS)
        else:
            view = trending(trends, draws_blocks(settings.environment))
            output.rows({}, "members", survey.reports, view)
            output.flush()
        if number != count:
            time.sleep(max(0.0, began + interval - time.monotonic()))


def _times(count: int | None) -> Iterable[int]:
    return itertools.count(1) if count is None else range(1, count + 1)


def _live(
    ask: Callable[[], Survey],
    settings: Settings,
    output: Output,
    trends: Trends,
    interval: float,
    count: int | None,
) -> None:
    from visor.cli.table import table_text
    from visor.cli.top.terminal import Screen, keyboard

    table = ""
    with Screen(keyboard(settings), output.draw) as screen:
        for number in _times(count):
            began = time.monotonic()
            try:
                survey = ask()
            except VisorError as error:
                if not table:
                    raise
                problems: Sequence[str] = (f"{error}; the rows are of before, trying again",)
            else:
                trends.add(began, survey)
                view = trending(trends, draws_blocks(settings.environment))
                table, problems = table_text(view, survey.reports, settings), survey.problems
            screen.draw(picture(table, problems, rows(settings)))
            if number == count or _ended(screen, began + interval):
                return


def _ended(screen: Screen, due: float) -> bool:
    """Wait for `q`, until the next look is due; tell whether it came."""
    while True:
        if "q" in screen.wait(due - time.monotonic()):
            return True
        if time.monotonic() >= due:
            return False


def picture(table: str, problems: Sequence[str], most: int) -> list[str]:
    """Return the lines that are shown, at most so many: the members, what is wrong, and how to end it. Pure."""
    said = [f"! {harmless(problem)}" for problem in problems] or ["all is well"]
    return [*[*table.splitlines(), "", *said][: max(most - 2, 0)], "", "q ends it"]
