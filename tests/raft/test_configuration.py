"""The members of a cluster: what may change, what is refused and with which numbers."""

from __future__ import annotations

import msgpack
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


def test_newcomers_are_known_as_such_until_they_have_answered_or_vote() -> None:
    after = THREE.add(member("d")).add(member("e")).add(member("f"))
    assert after.newcomers == ("id-d", "id-e", "id-f")
    assert after.promote("id-e").newcomers == ("id-d", "id-f")
    assert after.remove("id-e").newcomers == ("id-d", "id-f")
    assert after.prove(["id-d", "id-f"]).newcomers == ("id-e",)
    assert after.update("id-d", "d:9", "d:8").newcomers == after.newcomers
    assert decode(encode(after)) == after
    content = msgpack.unpackb(encode(after)[1:])
    # An earlier version reads three fields of it, and knows no newcomers.
    assert decode(b"\x02" + msgpack.packb(content[:3])) == after._replace(newcomers=())
    assert len(msgpack.unpackb(encode(THREE)[1:])) == 3


def test_only_a_newcomer_is_forgotten_and_may_come_again() -> None:
    after = THREE.add(member("d"))
    assert after.forget("id-d") == THREE
    assert after.forget("id-d").add(member("d")) == after
    for gone in (THREE, after.prove(["id-d"]), after.promote("id-d")):
        with pytest.raises(ConfigurationError, match="no newcomer"):
            gone.forget("id-d" if gone != THREE else "id-a")


def test_a_learner_takes_nobodys_address_and_voters_may_exchange_theirs() -> None:
    after = THREE.add(member("d"))
    with pytest.raises(ConfigurationError, match=r"a \(id-a\) has the address a:1"):
        after.update("id-d", "a:1", "x:2")
    swapped = THREE.update("id-a", "b:1", "a:2").update("id-b", "a:1", "b:2")
    assert (swapped.require("id-a").peer, swapped.require("id-b").peer) == ("b:1", "a:1")


def test_who_votes_is_not_moved_by_who_joins_under_its_id() -> None:
    assert THREE.add(member("a")) == THREE
    with pytest.raises(ConfigurationError, match="has a vote"):
        THREE.add(member("a")._replace(peer="evil:1"))


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


BAD_NAMES = ["", "x" * 65, "n2\x1b]0;pwned\x07", "a\nMAINPID=1", "-n", "n 2", "é", "n2\n"]
BAD_ADDRESSES = [
    "h",
    "h:0",
    "0.0.0.0:5",
    "[::]:5",
    "h\x1b[2J:5",
    "h\n:5",
    "h h:5",
    "x" * 300 + ":5",
    "h:99999",
    ":5",
]


@pytest.mark.parametrize("name", BAD_NAMES)
def test_names_that_settings_could_not_have_never_enter(name: str) -> None:
    with pytest.raises(ConfigurationError):
        Configuration().add(member("a")._replace(name=name))
    with pytest.raises(ConfigurationError):
        Configuration().add(member("a")._replace(id=name))


@pytest.mark.parametrize("address", BAD_ADDRESSES)
def test_addresses_that_settings_could_not_have_never_enter(address: str) -> None:
    there = Configuration().add(member("a"))
    for change in (
        lambda: Configuration().add(member("a")._replace(peer=address)),
        lambda: Configuration().add(member("a")._replace(client=address)),
        lambda: there.add(member("a")._replace(peer=address)),
        lambda: there.update("id-a", address, "h:1"),
        lambda: there.update("id-a", "h:1", address),
    ):
        with pytest.raises(ConfigurationError):
            change()


def test_a_member_that_clients_cannot_find_and_one_with_an_address_of_version_six_are_taken() -> None:
    assert Configuration().add(member("a")._replace(peer="[fe80::1%eth0]:8047", client="")).members


@pytest.mark.parametrize(
    "content",
    [
        [1, [["a", "a", "h:1", "h:2", 1, True]], []],
        [1, [[5, "a", "h:1", "h:2", True, True]], []],
        [1, [["a", "a", "h:1"]], []],
        [1, [], [5]],
        [1, 5, []],
        [2, [], []],
        5,
    ],
)
def test_what_is_no_configuration_is_not_taken_for_one(content: object) -> None:
    with pytest.raises(UnknownConfiguration):
        decode(b"\x02" + msgpack.packb(content))
