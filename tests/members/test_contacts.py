"""Whom a node talks to that is no member: few, such as can be, and never kept out by those of another host."""

from __future__ import annotations

from types import SimpleNamespace
from typing import cast

import pytest

from visord.members.contacts import Contacts
from visord.members.removal import Removal
from visord.raft.configuration import MAX_MEMBERS, Configuration, Member
from visord.raft.engine import Engine


def made() -> tuple[Contacts, list[dict[str, str]]]:
    configuration = Configuration((Member("a" * 16, "a", "10.0.0.1:1", "", True, False),))
    engine = SimpleNamespace(configuration=configuration, committed_configuration=configuration)
    dialled: list[dict[str, str]] = []
    removal = Removal(lambda member, message: True, lambda: 0.0)
    contacts = Contacts(
        "b" * 16, cast(Engine, engine), removal, lambda addresses: dialled.append(dict(addresses))
    )
    contacts.tick()
    return contacts, dialled


def test_a_member_needs_no_address_and_is_no_contact() -> None:
    contacts, _ = made()
    assert contacts.admit("a" * 16, None) is None
    assert not contacts.knows("a" * 16)


@pytest.mark.parametrize(
    ("member", "address"),
    [("x", None), ("x", "h:0"), ("x", "h"), ("x" * 65, "h:1"), ("x\x1b", "h:1"), ("", "h:1"), ("x", "h\n:1")],
)
def test_who_cannot_be_a_member_is_not_let_in(member: str, address: str | None) -> None:
    contacts, _ = made()
    assert contacts.admit(member, address) is not None
    assert not contacts.knows(member)


def test_made_up_ids_of_one_host_are_few_and_keep_nobody_else_out() -> None:
    contacts, dialled = made()
    for number in range(MAX_MEMBERS):
        assert contacts.admit(f"e{number}", f"10.6.6.6:{number + 1}") is None
    assert contacts.admit("more", "10.6.6.6:99") is not None
    assert contacts.admit("c" * 16, "10.0.0.3:1") is None
    assert contacts.knows("c" * 16)
    assert not contacts.knows("e0")
    contacts.tick()
    assert len(dialled[-1]) == MAX_MEMBERS + 1  # and the member
    assert contacts.admit("d" * 16, "10.0.0.3:2") is None
    assert contacts.knows("c" * 16)
