"""Who is there and how they are: what locator and probes report becomes views, changes, and counts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from enum import IntFlag, StrEnum
from typing import Any, Protocol

from visor._core.dataclass import dataclass
from visor._core.public import public
from visor._core.store.record import FrozenDict
from visor._core.views.endpoint import Endpoint
from visor._core.views.partition import Partition

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TICK = timedelta(microseconds=1)


class Health(StrEnum):
    """How a view is."""

    UNKNOWN = "unknown"
    """It is announced, and the first probe has not ended."""
    HEALTHY = "healthy"
    """It is announced, and the last probe (if any is made) has passed."""
    UNHEALTHY = "unhealthy"
    """The last probe has failed, or what it announces cannot be used."""


@dataclass(frozen=True, slots=True)
class Reported:
    """What a probe may return: what the server says of itself, in place of what is announced."""

    features: int | None = None
    partition: Partition | None = None


@dataclass(frozen=True, slots=True)
class View:
    """One server, as it was when the view was asked for; immutable."""

    id: str
    """HOST:PORT."""
    endpoint: Endpoint
    features: int
    """An enum of the registry's own, where it was given one."""
    partition: Partition | None
    health: Health
    problem: str = ""
    """Why it is unhealthy."""

    @property
    def healthy(self) -> bool:
        """Whether it is announced and passed its last probe."""
        return self.health is Health.HEALTHY

    @property
    def annotations(self) -> Mapping[str, str]:
        """What it says of itself besides."""
        return self.endpoint.annotations

    def provides(self, *features: int) -> bool:
        """Whether it is healthy and has all these features; with none asked for, whether it is healthy."""
        return self.healthy and all(self.features & feature == feature for feature in features)

    def __str__(self) -> str:
        features = repr(self.features) if not isinstance(self.features, IntFlag) else str(self.features.name)
        parts = [self.id, self.health.value, features, str(self.partition) if self.partition else "-"]
        parts += [f"{key}={value}" for key, value in sorted(self.annotations.items())]
        return "  ".join([*parts, f"({self.problem})"] if self.problem else parts)


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts."""

    views: int
    healthy: int
    unknown: int
    unhealthy: int

    def __str__(self) -> str:
        return (
            f"{self.views} views: {self.healthy} healthy, {self.unhealthy} unhealthy, {self.unknown} unknown"
        )


@dataclass(frozen=True, slots=True)
class Metrics:
    """What a registry has seen, for a monitoring system."""

    all_views: int
    healthy_views: int
    additions: int
    removals: int
    changes: int
    probes: int
    failed_probes: int
    last_change: float
    """Seconds since 1970; 0 when nothing ever changed."""

    def text(self, prefix: str = "visor_views") -> str:
        """Return them in the exposition format of Prometheus."""
        gauges = {"all_views", "healthy_views", "last_change"}
        lines = []
        for name in self.__dataclass_fields__:
            kind = "gauge" if name in gauges else "counter"
            unit = "_seconds" if name == "last_change" else "" if kind == "gauge" else "_total"
            lines += [f"# TYPE {prefix}_{name}{unit} {kind}", f"{prefix}_{name}{unit} {getattr(self, name)}"]
        return "\n".join(lines) + "\n"


@dataclass(frozen=True, slots=True)
class Entry:
    """One server as the catalog knows it."""

    endpoint: Endpoint
    number: int
    """Tells it from one with the same id that was there before."""
    health: Health
    problem: str = ""
    reported: Reported = Reported()
    forced: int | None = None


class Catalog:
    """All of them. May be used by any number of threads; `now` is the time of day, `clock` never goes back."""

    def __init__(
        self,
        now: Callable[[], datetime],
        clock: Callable[[], float],
        features: type[IntFlag] | None,
        probed: bool,
    ) -> None:
        self._now = now
        self._clock = clock
        self._features = features
        self._first = Health.UNKNOWN if probed else Health.HEALTHY
        self._entries: dict[str, Entry] = {}
        self._problems: Mapping[str, str] = FrozenDict()
        self._forced: dict[str, int] = {}
        self._lock = threading.Lock()
        self._number = 0
        self.last_changed = _EPOCH
        self.moved = clock()
        """When the last change was, by `clock`."""
        self._counts = dict.fromkeys(("additions", "removals", "changes", "probes", "failed"), 0)

    # -- what is reported -----------------------------------------------------------------------------
    def merge(self, endpoints: Iterable[Endpoint], problems: Mapping[str, str] | None = None) -> bool:
        """Take in what a locator has found; say whether anything is different."""
        with self._lock:
            found = {endpoint.id: endpoint for endpoint in endpoints}
            before = (dict(self._entries), dict(self._problems))
            for id in [id for id in self._entries if id not in found]:
                del self._entries[id]
                self._counts["removals"] += 1
            for id, endpoint in found.items():
                self._meet(id, endpoint)
            self._problems = FrozenDict(problems or {})
            if before == (self._entries, dict(self._problems)):
                return False
            self._changed()
            return True

    def _meet(self, id: str, endpoint: Endpoint) -> None:
        known = self._entries.get(id)
        if known is None:
            self._number += 1
            self._counts["additions"] += 1
            self._entries[id] = Entry(endpoint, self._number, self._first, forced=self._forced.get(id))
        elif known.endpoint != endpoint:
            self._entries[id] = replace(known, endpoint=endpoint)

    def probed(self, id: str, number: int, problem: str | None, reported: Reported | None) -> bool:
        """Take in how a probe ended (no problem: it passed); say whether anything is different."""
        with self._lock:
            self._counts["probes"] += 1
            self._counts["failed"] += problem is not None
            known = self._entries.get(id)
            if known is None or known.number != number:
                return False  # it went while the probe was under way
            health = Health.HEALTHY if problem is None else Health.UNHEALTHY
            told = reported if reported is not None else known.reported
            entry = replace(known, health=health, problem=problem or "", reported=told)
            if entry == known:
                return False
            self._entries[id] = entry
            self._changed()
            return True

    def force(self, id: str, features: int | None) -> bool:
        """Have a view provide these features whatever it says, also one to come; None: no longer."""
        with self._lock:
            if features is None:
                self._forced.pop(id, None)
            else:
                self._forced[id] = features
            known = self._entries.get(id)
            if known is None or known.forced == features:
                return False
            self._entries[id] = replace(known, forced=features)
            self._changed()
            return True

    def end(self) -> None:
        """Nobody is there any more: one last change."""
        with self._lock:
            self._counts["removals"] += len(self._entries)
            self._entries.clear()
            self._problems = FrozenDict()
            self._changed()

    def _changed(self) -> None:
        """Note a change, later than the one before also when the clock stands still or goes back."""
        self.last_changed = max(self._now(), self.last_changed + _TICK)
        self.moved = self._clock()
        self._counts["changes"] += 1

    # -- what can be asked ----------------------------------------------------------------------------
    def entries(self) -> list[tuple[str, Entry]]:
        """Return all entries by id."""
        with self._lock:
            return sorted(self._entries.items())

    def views(self) -> list[View]:
        """Return all views, in the order of their ids."""
        with self._lock:
            views = [self._view(id, entry) for id, entry in self._entries.items()]
            views += [
                View(id, Endpoint(id, None), self._flags(0), None, Health.UNHEALTHY, why)
                for id, why in self._problems.items()
                if id not in self._entries
            ]
        return sorted(views, key=lambda view: view.id)

    def _view(self, id: str, entry: Entry) -> View:
        reported, endpoint = entry.reported, entry.endpoint
        features = endpoint.features if reported.features is None else reported.features
        if entry.forced is not None:
            features = entry.forced
        partition = endpoint.partition if reported.partition is None else reported.partition
        return View(id, endpoint, self._flags(features), partition, entry.health, entry.problem)

    def _flags(self, bits: int) -> int:
        features: Any = self._features
        flags: int = int(bits) if features is None else features(bits)
        return flags

    def summary(self) -> Summary:
        """Return the counts."""
        views = self.views()
        healths = [view.health for view in views]
        return Summary(
            len(views), *(healths.count(h) for h in (Health.HEALTHY, Health.UNKNOWN, Health.UNHEALTHY))
        )

    def metrics(self) -> Metrics:
        """Return what has been seen."""
        summary, counts = self.summary(), self._counts
        changed = (self.last_changed - _EPOCH).total_seconds()
        return Metrics(
            summary.views,
            summary.healthy,
            counts["additions"],
            counts["removals"],
            counts["changes"],
            counts["probes"],
            counts["failed"],
            changed,
        )


class Schedule:
    """When which server is probed next: at once when it appears, then every `period` seconds, spread evenly."""

    def __init__(self, period: float, random: Callable[[], float]) -> None:
        self._period = period
        self._random = random
        self._due: dict[tuple[str, int], float] = {}
        self._under_way: set[tuple[str, int]] = set()

    def due(self, entries: Iterable[tuple[str, Entry]], now: float) -> list[tuple[str, Entry]]:
        """Return who is to be probed now; each until `done` only once."""
        present = {(id, entry.number): entry for id, entry in entries}
        self._due = {key: when for key, when in self._due.items() if key in present}
        found = []
        for key, entry in present.items():
            if key not in self._under_way and self._due.setdefault(key, now) <= now:
                self._under_way.add(key)
                found.append((key[0], entry))
        return found

    def done(self, id: str, number: int, now: float) -> None:
        """The probe has ended; the next one is a period away, give or take a tenth."""
        self._under_way.discard((id, number))
        if (id, number) in self._due:
            self._due[id, number] = now + self._period * (0.9 + 0.2 * self._random())

    def next(self, now: float) -> float:
        """Return the seconds until somebody is due."""
        waiting = [when for key, when in self._due.items() if key not in self._under_way]
        return max(0.0, min(waiting, default=now + self._period) - now)


class Fires(Protocol):
    """What wakes those who wait for something."""

    def fire(self) -> None:
        """Wake them."""


class BaseRegistry:
    """Who is there, for those who ask: lists of views, counts, and when something changed."""

    def __init__(self, catalog: Catalog, signal: Fires) -> None:
        self._catalog = catalog
        self._signal = signal

    def all_views(self) -> list[View]:
        """Return all views, in the order of their ids."""
        return self._catalog.views()

    def healthy_views(self, *features: int) -> list[View]:
        """Return the views that are healthy and have all these features."""
        return [view for view in self._catalog.views() if view.provides(*features)]

    def view(self, id: str) -> View | None:
        """Return the view at HOST:PORT, None when there is none."""
        return next((view for view in self._catalog.views() if view.id == id), None)

    def holding(self, space: str, hash: int, *features: int) -> list[View]:
        """Return the healthy views with these features that serve this hash of the space."""
        return [
            view
            for view in self.healthy_views(*features)
            if view.partition is not None and view.partition.space == space and hash in view.partition.range
        ]

    @property
    def last_changed(self) -> datetime:
        """When something changed last; every change is later than the one before, whatever the clock does."""
        return self._catalog.last_changed

    def summary(self) -> Summary:
        """Return counts."""
        return self._catalog.summary()

    def dump(self) -> str:
        """Return a line for each view, in the order of their ids, below the counts."""
        lines = [str(self.summary()), *(f"  {view}" for view in self.all_views())]
        return "\n".join(lines)

    @property
    def metrics(self) -> Metrics:
        """What the registry has seen so far."""
        return self._catalog.metrics()

    def force_features(self, id: str, features: int | None) -> None:
        """For tests: have this view provide these features, whatever it announces; None: as it announces."""
        if self._catalog.force(id, features):
            self._signal.fire()

    def __repr__(self) -> str:
        return f"<visor view registry, {self.summary()}>"


public("visor.views", Health, Metrics, Reported, Summary, View)
