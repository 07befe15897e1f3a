"""The view registry without a registry: partitions, endpoints, the catalog and the schedule of probes."""

from __future__ import annotations

import itertools
import random
from datetime import UTC, datetime, timedelta
from enum import IntFlag

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visor import codecs
from visor._core.views.catalog import Catalog, Health, Reported, Schedule, View
from visor._core.views.endpoint import Endpoint, decode, encode, file_name, wrong
from visor._core.views.partition import LAST, HashRange, Partition, cover, covers


class Feature(IntFlag):
    """Akutan's."""

    DIAGNOSTICS = 1
    CAROUSEL = 2
    HASH_PO = 4
    HASH_SP = 8


def view(number: int, first: int, last: int, space: str = "sp") -> View:
    partition = Partition(space, HashRange(first, last))
    return View(f"v{number}", Endpoint("h", number + 1), 0, partition, Health.HEALTHY)


RANGES = st.tuples(st.integers(0, 7), st.integers(0, 7)).map(lambda pair: (min(pair), max(pair)))


@given(st.lists(RANGES, max_size=6))
def test_a_cover_is_whole_and_without_overlap_where_that_can_be(ranges: list[tuple[int, int]]) -> None:
    whole = HashRange(0, 7)
    views = [view(number, *pair) for number, pair in enumerate(ranges)]
    chosen, gaps = cover([*views, view(99, 0, 7, "other")], "sp", whole, random.Random(1).shuffle)
    served = {hash for first, last in ranges for hash in range(first, last + 1)}
    assert {hash for gap in gaps for hash in range(gap.first, gap.last + 1)} == set(range(8)) - served
    picked = [one.partition.range for one in chosen if one.partition is not None]
    assert {hash for one in picked for hash in range(one.first, one.last + 1)} == served
    best = min(
        (
            (_overlap(some), len(some))
            for size in range(len(ranges) + 1)
            for some in itertools.combinations(ranges, size)
            if {hash for first, last in some for hash in range(first, last + 1)} == served
        ),
        default=(0, 0),
    )
    if not gaps and best[0] == 0:
        assert _overlap([(one.first, one.last) for one in picked]) == 0
        assert len(picked) == best[1]


def _overlap(ranges: object) -> int:
    counted = [hash for first, last in ranges for hash in range(first, last + 1)]  # type: ignore[attr-defined]
    return len(counted) - len(set(counted))


def test_several_covers_share_no_view_where_that_can_be() -> None:
    half = LAST // 2
    views = [view(1, 0, half), view(2, half + 1, LAST), view(3, 0, half), view(4, half + 1, LAST)]
    first, second = covers(views, "sp", 2)
    assert sorted(one.id for one in first + second) == ["v1", "v2", "v3", "v4"]
    assert [[one.id for one in some] for some in covers(views[:3], "sp", 2)] == [["v1", "v2"], ["v1", "v2"]]
    assert covers(views[:1], "sp", 1) == []
    assert covers(views, "none", 1) == []


@pytest.mark.parametrize("ends", [(-1, 5), (5, 4), (0, LAST + 1)])
def test_a_range_that_is_none_is_refused(ends: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=r"0 \.\. 2\*\*64 - 1"):
        HashRange(*ends)


ENDPOINTS = st.builds(
    Endpoint,
    st.text(min_size=1, max_size=8) | st.from_regex(r"[a-z0-9][a-z0-9.-]{0,8}", fullmatch=True),
    st.none() | st.integers(1, 65535),
    st.sampled_from(["tcp", "unix"]),
    st.integers(0, 2**40),
    st.none() | st.builds(Partition, st.text(max_size=4), RANGES.map(lambda pair: HashRange(*pair))),
    st.dictionaries(st.text(max_size=4), st.text(max_size=4), max_size=3),
)


@given(ENDPOINTS)
def test_what_is_announced_is_read(endpoint: Endpoint) -> None:
    if wrong(endpoint) is None:
        assert decode(encode(endpoint)) == endpoint
    else:
        with pytest.raises(ValueError, match=r"host|port|network|endpoint") as caught:
            decode(encode(endpoint))
        assert str(caught.value) == wrong(endpoint)


@given(st.binary() | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(codecs.JSON.encode))
def test_whatever_else_is_there_is_no_announcement(data: bytes) -> None:
    with pytest.raises(ValueError):
        decode(data)


@pytest.mark.parametrize(
    "change", [{"port": 0}, {"features": -1}, {"format": 2}, {"host": ""}, {"partition": 5}]
)
def test_a_field_that_makes_no_sense_is_refused(change: dict[str, object]) -> None:
    told = codecs.JSON.decode(encode(Endpoint("h", 1)))
    assert isinstance(told, dict)
    with pytest.raises(ValueError):
        decode(codecs.JSON.encode({**told, **change}))  # type: ignore[dict-item]


def test_names_of_servers() -> None:
    assert Endpoint("10.0.0.7", 80).id == "10.0.0.7:80"
    assert Endpoint("::1", 80).host_port == "[::1]:80"
    assert Endpoint("::1", 80).address == ("::1", 80)
    with pytest.raises(ValueError, match="h has no port"):
        _ = Endpoint("h", None).address
    assert (file_name("[::1]:80"), file_name("a/b%:1")) == ("%5b::1%5d:80", "a%2fb%25:1")
    assert str(Endpoint("h", None)) == "tcp://h"
    with pytest.raises(ValueError, match="has no port"):
        _ = Endpoint("h", None).host_port
    with pytest.raises(ValueError, match="cannot be announced"):
        file_name("")


class Times:
    """A time of day that stands still unless told otherwise."""

    def __init__(self) -> None:
        self.day = datetime(2024, 1, 1, tzinfo=UTC)
        self.clock = 100.0

    def catalog(self, probed: bool = False) -> Catalog:
        return Catalog(lambda: self.day, lambda: self.clock, Feature, probed)


A = Endpoint("a", 1, features=Feature.DIAGNOSTICS | Feature.HASH_PO)
B = Endpoint("b", 1, annotations={"zone": "eu"})


class TestRoster:
    def test_merging_tells_what_is_different_and_nothing_else(self) -> None:
        times = Times()
        catalog = times.catalog()
        changed = [catalog.last_changed]

        def merge(*endpoints: Endpoint) -> bool:
            different = catalog.merge(endpoints)
            assert (catalog.last_changed > changed[-1]) is different  # though the clock stands still
            changed.append(catalog.last_changed)
            return different

        assert merge(A, B)
        assert not merge(B, Endpoint("a", 1, features=5))  # equal: the same, whatever object it is
        assert merge(A, Endpoint("b", 1, annotations={"zone": "us"}))
        assert merge(A, Endpoint("b", 1, "unix", annotations={"zone": "us"}))  # the original missed it
        assert merge(A)
        assert merge()
        metrics = catalog.metrics()
        assert (metrics.additions, metrics.removals, metrics.changes, metrics.all_views) == (2, 2, 5, 0)

    def test_a_clock_that_goes_back_does_not_take_changes_back(self) -> None:
        times = Times()
        catalog = times.catalog()
        catalog.merge([A])
        before = catalog.last_changed
        times.day -= timedelta(days=1)
        catalog.merge([B])
        assert catalog.last_changed == before + timedelta(microseconds=1)

    def test_health_is_what_the_last_probe_said(self) -> None:
        catalog = Times().catalog(probed=True)
        catalog.merge([A])
        ((id, entry),) = catalog.entries()
        assert catalog.views()[0].health is Health.UNKNOWN
        assert catalog.probed(id, entry.number, None, None)
        assert not catalog.probed(id, entry.number, None, None)
        assert catalog.views()[0].provides(Feature.HASH_PO)
        assert catalog.probed(id, entry.number, "refused", None)
        (found,) = catalog.views()
        assert (found.healthy, found.problem, found.provides()) == (False, "refused", False)
        catalog.merge([Endpoint("a", 1, annotations={"k": "v"})])
        assert catalog.views()[0].problem == "refused"  # updated in place: it is the same server
        catalog.merge([])
        catalog.merge([A])
        assert catalog.views()[0].health is Health.UNKNOWN  # another one at the same address
        assert not catalog.probed(id, entry.number, None, None)  # whom an old probe says nothing about

    def test_features(self) -> None:
        catalog = Times().catalog()
        catalog.merge([A])
        (found,) = catalog.views()
        assert found.features is Feature.DIAGNOSTICS | Feature.HASH_PO
        assert found.provides()
        assert found.provides(Feature.HASH_PO)
        assert found.provides(Feature.HASH_PO, Feature.DIAGNOSTICS)
        assert not found.provides(Feature.HASH_PO, Feature.HASH_SP)
        assert not found.provides(Feature.HASH_PO | Feature.HASH_SP)
        assert catalog.force("a:1", Feature.HASH_SP)
        assert catalog.views()[0].provides(Feature.HASH_SP)
        assert not catalog.force("a:1", Feature.HASH_SP)
        assert not catalog.force("b:1", Feature.CAROUSEL)
        catalog.merge([A, B])
        assert [one.features for one in catalog.views()] == [Feature.HASH_SP, Feature.CAROUSEL]
        assert catalog.force("a:1", None)
        assert catalog.views()[0].features == A.features
        ((id, entry), _) = catalog.entries()
        partition = Partition("sp")
        catalog.probed(id, entry.number, None, Reported(Feature.HASH_SP, partition))
        assert (catalog.views()[0].features, catalog.views()[0].partition) == (Feature.HASH_SP, partition)

    def test_what_cannot_be_read_is_a_view_that_is_not_well(self) -> None:
        catalog = Times().catalog()
        assert catalog.merge([A], {"bad:1": "no JSON"})
        found = catalog.views()[1]
        assert (found.id, found.healthy, found.provides(), found.problem) == (
            "bad:1",
            False,
            False,
            "no JSON",
        )
        assert str(catalog.summary()) == "2 views: 1 healthy, 1 unhealthy, 0 unknown"

    def test_the_end_is_one_last_change(self) -> None:
        catalog = Times().catalog()
        catalog.merge([A, B])
        before = catalog.last_changed
        catalog.end()
        assert (catalog.views(), catalog.last_changed > before, catalog.metrics().removals) == ([], True, 2)

    def test_metrics_as_text(self) -> None:
        catalog = Times().catalog()
        catalog.merge([A])
        text = catalog.metrics().text()
        assert "# TYPE visor_views_all_views gauge\nvisor_views_all_views 1\n" in text
        assert "# TYPE visor_views_additions_total counter\nvisor_views_additions_total 1\n" in text
        assert "visor_views_last_change_seconds 1704067200.0\n" in text


def test_probes_are_due_at_once_and_then_every_period() -> None:
    catalog = Times().catalog(probed=True)
    catalog.merge([A, B])
    schedule = Schedule(10.0, lambda: 0.5)
    assert [id for id, _ in schedule.due(catalog.entries(), 0.0)] == ["a:1", "b:1"]
    assert schedule.due(catalog.entries(), 50.0) == []  # both are under way
    (_, a), (_, b) = catalog.entries()
    schedule.done("a:1", a.number, 3.0)
    assert schedule.next(3.0) == 10.0
    assert [id for id, _ in schedule.due(catalog.entries(), 12.9)] == []
    assert [id for id, _ in schedule.due(catalog.entries(), 13.0)] == ["a:1"]
    catalog.merge([A])
    schedule.due(catalog.entries(), 14.0)
    schedule.done("b:1", b.number, 15.0)  # it is gone, and is not probed again
    assert schedule.due(catalog.entries(), 99.0) == []
