"""Tokens to join: each lets one machine in, in time, and only the cluster itself can say that it was used."""

from __future__ import annotations

from typing import Any, Final

import pytest

from visor.protocol import tokens, verbs
from visord.state.auth.auth_store import ROOT, AuthStore
from visord.state.auth.join_table import MAX_JOINS, MAX_TTL
from visord.state.command import encode
from visord.state.formats import RIGHTS, SECRETS
from visord.state.machine import Machine
from visord.state.refusal import Refusal

NOW: Final = 1_000_000
DIGEST: Final = b"d" * 32
MEMBER, OTHER = "5f2c" * 4, "0000" * 4
KEY, OTHER_KEY = b"k" * 32, b"o" * 32


def add(table: AuthStore, number: str = "abcdefgh", now: int = NOW, **more: Any) -> Refusal | None:
    return table.change("add_join", {"id": number, "digest": DIGEST, **more}, now, SECRETS, "user:ada/t1")


def use(
    table: AuthStore,
    member: str = MEMBER,
    key: bytes = KEY,
    number: str = "abcdefgh",
    now: int = NOW,
    by: str = "",
) -> Refusal | None:
    return table.change("use_join", {"id": number, "member": member, "key": key}, now, SECRETS, by)


@pytest.fixture
def table() -> AuthStore:
    table = AuthStore()
    assert add(table, hosts=["n2.example"], name="n2") is None
    return table


def test_a_token_is_listed_with_who_made_it_and_comes_back_from_a_checkpoint(table: AuthStore) -> None:
    (token,) = table.joins
    assert (token.name, token.hosts, token.by, token.member) == ("n2", ("n2.example",), "ada", "")
    assert token.expires == NOW + 3_600_000
    assert use(table) is None
    again = AuthStore.of(table.rows())
    assert again.rows() == table.rows()
    assert again.digest == table.digest
    assert [token.member for token in again.joins] == [MEMBER]
    assert DIGEST.hex() not in repr(token)
    assert "ddd" not in repr(token)


def test_members_of_the_version_before_see_nothing_of_it_while_there_is_none() -> None:
    table = AuthStore()
    assert add(table) is None
    assert "joins" in table.rows()
    assert table.change("revoke_join", {"id": "abcdefgh"}, NOW) is None
    assert "joins" not in table.rows()
    for action in ("add_join", "revoke_join", "use_join"):
        refused = table.change(action, {}, NOW, RIGHTS)
        assert isinstance(refused, Refusal)
        assert "older version" in refused.text


def test_a_token_is_good_for_one_machine_which_may_ask_again(table: AuthStore) -> None:
    assert use(table) is None
    assert use(table) is None  # the answer was lost
    for member, key in ((OTHER, KEY), (MEMBER, OTHER_KEY), (OTHER, OTHER_KEY)):
        refused = use(table, member, key)
        assert isinstance(refused, Refusal)
        assert f"used by member {MEMBER}" in refused.text


def test_a_token_that_has_expired_or_was_revoked_lets_nobody_in(table: AuthStore) -> None:
    late = use(table, now=NOW + 3_600_000)
    assert isinstance(late, Refusal)
    assert "it expired 0 s ago" in late.text
    assert use(table, now=NOW + 3_599_999) is None
    assert isinstance(use(table, OTHER, now=NOW + 3_600_000), Refusal)
    (used,) = table.joins  # there for a day: so long the machine may be taken in
    assert used.expires == NOW + 3_599_999 + MAX_TTL
    assert table.joins.used_for(MEMBER) == used
    assert table.joins.used_for(OTHER) is None
    assert table.change("revoke_join", {"id": "abcdefgh"}, NOW) is None
    assert isinstance(use(table), Refusal)


def test_there_are_few_and_those_that_are_of_no_use_give_their_place() -> None:
    table = AuthStore()
    for number in range(MAX_JOINS):
        assert add(table, f"token{number:03}", ttl=1000 if number == 0 else MAX_TTL) is None
    refused = add(table, "onemore00")
    assert isinstance(refused, Refusal)
    assert refused.code == "too_large"
    assert use(table, number="token007") is None
    assert add(table, "onemore00") is None
    assert table.joins.find("token007") is None
    assert isinstance(add(table, "onemore01"), Refusal)
    assert add(table, "onemore01", now=NOW + 1000) is None  # token000 has expired
    assert len(table.joins) == MAX_JOINS


@pytest.mark.parametrize(
    "wrong",
    [
        {"id": "short"}, {"id": 7}, {"digest": b"d"}, {"digest": "d" * 32}, {"name": "a b"}, {"name": None},
        {"hosts": "n2"}, {"hosts": ["N2"]}, {"hosts": ["*.example"]}, {"hosts": ["n"] * 17}, {"hosts": [7]},
        {"learner": 1}, {"ttl": 0}, {"ttl": MAX_TTL + 1}, {"ttl": "1h"}, {"more": 1},
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_and_changes_nothing(table: AuthStore, wrong: dict[str, Any]) -> None:
    before = table.rows()
    refused = table.change("add_join", {"id": "ijklmnop", "digest": DIGEST, **wrong}, NOW)
    assert isinstance(refused, Refusal)
    assert table.rows() == before


def test_no_client_can_say_that_a_token_was_used_not_even_root() -> None:
    machine = Machine()

    def write(index: int, owner: str, *change: Any, retry: bool = False) -> Any:
        frame: list[Any] = [verbs.AUTH, index, 0, *change]
        frame = [verbs.RETRY, index, frame, 0] if retry else frame
        session = b"s" * 16 if retry else None
        return machine.apply(index, 1, encode(NOW, [[session, "", [frame], owner]]))[0][0]

    write(1, "10.0.0.1", "set_user", {"name": "ada", "roles": [ROOT]})
    write(2, "10.0.0.1", "add_token", {"id": "ttttttttt1", "user": "ada", "digest": DIGEST})
    write(3, "user:ada/ttttttttt1", "add_join", {"id": "abcdefgh", "digest": DIGEST})
    used = ("use_join", {"id": "abcdefgh", "member": MEMBER, "key": KEY})
    for number, (owner, retry) in enumerate(
        [("user:ada/ttttttttt1", False), ("10.0.0.1", False), ("user:ada/ttttttttt1", True)], 4
    ):
        assert isinstance(write(number, owner, *used, retry=retry), Refusal)
    assert [token.member for token in machine.auth.joins] == [""]
    assert not isinstance(write(9, "", *used), Refusal)
    assert [token.member for token in machine.auth.joins] == [MEMBER]


def test_a_token_to_join_is_read_back_and_nothing_else_is_one() -> None:
    text = tokens.write_join(b"a" * 32, b"number", b"s" * 32)
    found = tokens.read_join(text)
    assert found is not None
    assert (found.authority, found.secret) == (b"a" * 32, b"s" * 32)
    assert text.startswith("visj_")
    assert found.id in text
    assert "sss" not in repr(found)
    for odd in (
        "",
        text[:-1],
        text.upper(),
        f"{text}a",
        text.replace("visj", "vis"),
        tokens.write(b"number", b"s" * 32),
    ):
        assert tokens.read_join(odd) is None
    for place in range(len(text)):
        other = text[:place] + ("b" if text[place] != "b" else "c") + text[place + 1 :]
        assert tokens.read_join(other) is None
    assert tokens.read(text) is None
