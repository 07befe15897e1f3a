"""The members of a cluster: what may change, what is refused and with which numbers."""

from __future__ import annotations

import pytest

from visord.raft.configuration import (
    Configuration,
    ConfigurationError,
    Member,
    UnknownConfiguration,
    check_quorum,
    decode,
    encode,
)


def member(name: str, *, voter: bool = True) -> Member:
    return Member(f"id-{name}", name, f"{name}:1", f"{name}:2", voter, not voter)


THREE = Configuration(tuple(member(name) for name in "abc"))


def test_it_survives_the_log() -> None:
    whole = THREE.add(member("d")).remove("a")
    assert decode(encode(whole)) == whole


@pytest.mark.parametrize("entry", [b"\x02", b"\x02\xc1", b"\x02\x93\x02\x90\x90", b"\x02\x90"])
def test_what_is_not_one_stops_the_node_rather_than_being_guessed(entry: bytes) -> None:
    with pytest.raises(UnknownConfiguration):
        decode(entry)


def test_who_is_added_listens_first() -> None:
    after = THREE.add(member("d"))
    assert after.voters == THREE.voters
    assert after.learners == ["id-d"]
    assert after.promote("d").voters == ["id-a", "id-b", "id-c", "id-d"]


def test_adding_again_changes_nothing_but_the_address() -> None:
    after = THREE.add(member("d"))
    assert after.add(member("d")) == after
    moved = member("d")._replace(peer="elsewhere:1")
    assert after.add(moved).require("d").peer == "elsewhere:1"


def test_a_removed_id_never_returns() -> None:
    with pytest.raises(ConfigurationError, match="never return"):
        THREE.remove("a").add(member("a"))


@pytest.mark.parametrize("clash", [{"name": "a"}, {"peer": "a:1"}])
def test_a_name_or_address_that_is_taken_is_refused(clash: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="remove it first"):
        THREE.add(member("d")._replace(**clash))


def test_the_last_voter_stays() -> None:
    alone = Configuration((member("a"),)).add(member("b"))
    with pytest.raises(ConfigurationError, match="only voter"):
        alone.remove("a")
    assert alone.remove("b").voters == ["id-a"]


def test_an_unknown_member_is_named_with_those_there_are() -> None:
    with pytest.raises(ConfigurationError, match=r"no member 'x', only a \(id-a\), b"):
        THREE.remove("x")


def test_a_change_that_would_lose_the_quorum_is_refused_with_the_numbers() -> None:
    four = THREE.add(member("d")).promote("d")
    with pytest.raises(ConfigurationError) as refused:
        check_quorum(four, {"id-a", "id-b"})
    assert refused.value.details == {"voters": 4, "needed": 3, "reachable": 2}
    check_quorum(four, {"id-a", "id-b", "id-d"})
