"""Who may be connected, who has to go, and what they may make a node hold."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visor._core.hosts import counted_as
from visord import descriptors
from visord.serving.ledger import Ledger
from visord.serving.places import Places


@dataclass(eq=False)
class Guest:
    owner: str
    idle_since: float | None = 0.0


def test_strangers_go_first_the_oldest_of_them() -> None:
    places: Places[Guest] = Places(3, 3)
    known, old, young = Guest("a"), Guest("a", None), Guest("a", None)
    for guest in (known, old, young):
        assert places.enter(guest, "a") is None
    places.known(known)
    assert places.enter(Guest("b"), "b") is old


def test_then_who_has_been_idle_longest_and_never_who_is_busy() -> None:
    places: Places[Guest] = Places(3, 3)
    guests = [Guest("a", 5.0), Guest("a", 2.0), Guest("a", None)]
    for guest in guests:
        places.enter(guest, "a")
        places.known(guest)
    first, newcomer, busy = Guest("a"), Guest("a"), Guest("a", None)
    assert places.enter(first, "a") is guests[1]
    places.leave(guests[1])
    places.leave(first)
    guests[0].idle_since = None
    assert places.enter(busy, "a") is None
    places.known(busy)
    assert places.enter(newcomer, "a") is newcomer
    assert places.refused == 1


def test_a_limit_of_one_address_leaves_the_others_alone() -> None:
    places: Places[Guest] = Places(100, 2)
    for owner in ("a", "b"):
        for _ in range(2):
            assert places.enter(Guest(owner), owner) is None
    victim = places.enter(Guest("a"), "a")
    assert victim is not None
    assert victim.owner == "a"


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans(), st.booleans()), max_size=120), st.integers(1, 8))
def test_who_has_no_more_than_his_share_never_goes_for_another_owner(
    steps: list[tuple[int, bool, bool]], total: int
) -> None:
    """Against counting by hand, whoever comes and goes."""
    places: Places[Guest] = Places(total, total)
    inside: list[Guest] = []
    for number, greets, leaves in steps:
        if leaves and inside:
            places.leave(inside.pop(number % len(inside)))
            continue
        guest = Guest(str(number), None if number == 5 else 0.0)
        counts = {one.owner: sum(other.owner == one.owner for other in inside) for one in inside}
        victim = places.enter(guest, guest.owner)
        inside.append(guest)
        if greets:
            places.known(guest)
        if victim is not None:
            assert len(inside) > total
            if victim is not guest:
                mine = counts.get(guest.owner, 0) + 1
                assert victim.owner == guest.owner or counts[victim.owner] >= mine
            places.leave(victim)
            inside.remove(victim)
        assert len(places) == len(inside) <= total


@pytest.mark.parametrize(
    ("host", "owner"),
    [
        ("10.1.2.3", "10.1.2.3"),
        ("::1", "::/64"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("::ffff:10.1.2.3", "10.1.2.3"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unix", "unix"),
    ],
)
def test_whom_an_address_counts_for(host: str, owner: str) -> None:
    assert counted_as(host) == owner


def test_over_the_limit_who_holds_most_of_the_owner_that_holds_most_goes() -> None:
    ledger: Ledger[Guest] = Ledger(1000)
    a, b, c, d = Guest("1"), Guest("1"), Guest("2"), Guest("3")
    assert ledger.set(a, 350) == []
    assert ledger.set(b, 300) == []
    assert ledger.set(c, 340) == []
    assert ledger.set(d, 200) == [a]
    assert ledger.total == 840
    assert sorted(one.owner for one in ledger.holders()) == ["1", "2", "3"]


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 600)), max_size=80))
def test_a_ledger_is_what_its_entries_say(steps: list[tuple[int, int]]) -> None:
    ledger: Ledger[Guest] = Ledger(1000)
    guests = [Guest(str(number % 3)) for number in range(10)]
    amounts: dict[Guest, int] = {}
    for number, amount in steps:
        amounts[guests[number]] = amount
        for victim in ledger.set(guests[number], amount):
            amounts[victim] = 0
        assert ledger.total == sum(amounts.values()) <= 1000
        assert set(ledger.holders()) == {one for one, amount in amounts.items() if amount}


@pytest.mark.parametrize(
    ("limit", "wanted", "connections"),
    [(65_536, 10_000, 10_000), (1024, 10_000, 512), (1024, 5, 5), (20_000, 10_000, 10_000)],
)
def test_clients_get_the_descriptors_that_the_node_can_spare(
    limit: int, wanted: int, connections: int
) -> None:
    plan = descriptors.plan(limit, wanted)
    assert plan.connections == connections
    assert plan.connections + plan.backlog + descriptors.OWN <= limit


def test_a_limit_that_leaves_nothing_for_clients_is_refused_with_the_numbers() -> None:
    with pytest.raises(ValueError, match="only 256 files may be open"):
        descriptors.plan(256, 10_000)
