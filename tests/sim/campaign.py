"""Many seeds, over a few processes: what failed, what occurred, how long it took."""

from __future__ import annotations

import contextlib
import gc
import logging
import multiprocessing
import signal
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from tests.sim.coverage import Coverage
from tests.sim.world import Plan, run

MANY: Final = 200
"""So many seeds must show every kind of fault."""
CPU_SECONDS: Final = 60.0
"""A seed takes one; what takes so long does not come to an end."""


class Endless(BaseException):
    """A seed takes too long. No `Exception`: what catches all errors of the code under test must not catch this."""


@dataclass(slots=True)
class Outcome:
    """What one seed came to, small enough to travel between processes."""

    seed: int
    findings: list[tuple[str, str]]
    """(property, what shows it); the property `crashed` when the simulation itself failed."""
    counts: Counter[str] = field(default_factory=Counter)
    branches: Counter[str] = field(default_factory=Counter)
    virtual_seconds: float = 0.0
    steps: int = 0


def one(seed: int, plan: Plan) -> Outcome:
    """Run one seed; never raises, and always ends."""
    collecting = gc.isenabled()
    gc.disable()  # a world is garbage when it ends, and not before
    try:
        with _limited(CPU_SECONDS):
            result = run(seed, plan)
    except (Exception, Endless) as error:
        text = "".join(traceback.format_exception(error))
        return Outcome(seed, [("crashed", text)])
    finally:
        if collecting:
            gc.enable()
    findings = [(violation.property, _told(violation)) for violation in result.violations]
    return Outcome(seed, findings, result.counts, result.branches, result.seconds, result.steps)


@contextlib.contextmanager
def _limited(seconds: float) -> Iterator[None]:
    """Interrupt what is done in here when it has taken so much processor time."""

    def interrupt(number: int, frame: object) -> None:
        raise Endless(f"not at an end after {seconds:g} s of processor time")

    before = signal.signal(signal.SIGVTALRM, interrupt)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0.0)
        signal.signal(signal.SIGVTALRM, before)


def _cut(name: str, text: str) -> str:
    """Return the beginning of a text, with the name of what is violated, which may stand at its end."""
    shown = text[:2000]
    return shown if f"{name}: " in shown else f"{name}: {shown}"


def _told(violation: BaseException) -> str:
    cause = violation.__cause__
    return str(violation) if cause is None else "".join(traceback.format_exception(violation))


def many(seeds: range, plan: Plan, jobs: int) -> Iterator[Outcome]:
    """Run seeds, in order with one job, as they come with several."""
    if jobs <= 1:
        for number, seed in enumerate(seeds):
            yield one(seed, plan)
            if number % 16 == 15:
                gc.collect()
        return
    context = multiprocessing.get_context("spawn")
    with context.Pool(jobs, initializer=quiet, maxtasksperchild=500) as pool:
        yield from pool.imap_unordered(_Task(plan), seeds)


class _Task:
    """`one` with its plan, as something that can be sent to another process."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._done = 0

    def __call__(self, seed: int) -> Outcome:
        outcome = one(seed, self._plan)
        gc.collect()
        return outcome


def quiet() -> None:
    """Nodes that fail tell so in the log, hundreds of times: only findings count."""
    logging.disable(logging.CRITICAL)
    # A process that is killed drops its coroutines where they stand.
    warnings.filterwarnings("ignore", "coroutine .* was never awaited", RuntimeWarning)


@dataclass
class Campaign:
    """The sum of many seeds."""

    plan: Plan
    failed: list[Outcome] = field(default_factory=list)
    coverage: Coverage = field(default_factory=Coverage)
    virtual_seconds: float = 0.0
    steps: int = 0
    seconds: float = 0.0

    def run(self, seeds: range, jobs: int = 1, *, tell: bool = False, first: bool = False) -> None:
        """Run seeds; with `tell`, print each that fails at once; with `first`, stop there."""
        begun = time.monotonic()
        for outcome in many(seeds, self.plan, jobs):
            self.coverage.add(outcome.counts, outcome.branches)
            self.virtual_seconds += outcome.virtual_seconds
            self.steps += outcome.steps
            if outcome.findings:
                self.failed.append(outcome)
                if tell:
                    print(self.show(outcome), flush=True)
                if first:
                    break
        self.seconds += time.monotonic() - begun

    @property
    def passed(self) -> bool:
        """No seed failed, and if there were enough of them and nothing was left out, each kind of fault occurred."""
        enough = self.coverage.seeds >= MANY and not self.plan.kinds
        return not self.failed and not (enough and self.coverage.missing())

    def show(self, outcome: Outcome) -> str:
        """Return what failed and how to see it again."""
        lines = [f"seed {outcome.seed} FAILED"]
        lines += [f"  {_cut(name, text)}" for name, text in outcome.findings]
        lines.append(
            f"  again: python -m tests.sim --start {outcome.seed} --seeds 1 {self._options()}--trace"
        )
        return "\n".join(lines)

    def _options(self) -> str:
        plan, default = self.plan, Plan()
        options = f'--faults "{",".join(plan.kinds)}" ' if plan.kinds else ""
        for name, option in (
            ("nodes", "--nodes"),
            ("clients", "--clients"),
            ("seconds", "--seconds"),
            ("plant", "--plant"),
            ("hostile", "--hostile"),
            ("rights", "--rights"),
            ("redactions", "--redactions"),
        ):
            value = getattr(plan, name)
            if value != getattr(default, name):
                options += f"{option} {value:g} " if isinstance(value, float) else f"{option} {value} "
        return options

    def report(self) -> str:
        """Return everything that there is to say."""
        seeds = self.coverage.seeds
        failed = sorted(outcome.seed for outcome in self.failed)
        return "\n".join(
            [
                self.coverage.table(),
                f"{seeds} seeds, {self.virtual_seconds:.0f} virtual seconds in {self.seconds:.1f} s "
                f"({self.seconds / max(1, seeds):.2f} s a seed), {self.steps} steps",
                f"failed: {len(failed)}{': ' + ' '.join(map(str, failed)) if failed else ''}",
            ]
        )
