"""What stands in the audit of who asks, who may, and who changes that; and what never does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.admin.members import Members
from tests.auth.test_serving import SECRETS, TOKENS, change, knows, number_of, refused
from tests.wire import Refused, Wire
from visor.protocol import tokens, verbs


@pytest.fixture
def members(tmp_path: Path) -> Iterator[Members]:
    with Members(tmp_path) as running:
        running.start("n1")
        yield running


def lines(folder: Path, event: str, member: str = "n1") -> list[dict[str, Any]]:
    found = [json.loads(line) for file in (folder / member / "audit").iterdir() for line in file.open()]
    return [line for line in found if line["event"] == event]


def test_denials_logins_and_changes_are_recorded_and_no_secret_is(members: Members, tmp_path: Path) -> None:
    address = members.address("n1")
    with Wire(address) as wire:
        knows(wire, "boss", "root")
        change(wire, "set_role", name="reader", grants=[["read", [verbs.SEL_TREE, "/a"]]])
        knows(wire, "ci", "reader")
        change(wire, "set_user", name="anonymous", roles=[])
    with Wire(address, hello={"token": TOKENS["ci"]}) as ci:
        ci.call(verbs.GET, "/a/x")
        assert refused(ci, verbs.GET, "/b/secret") == "denied"
        assert refused(ci, verbs.SET, "/a/x", b"a value that is a secret") == "denied"
        assert refused(ci, verbs.AUTH, "delete_user", {"name": "boss"}) == "denied"
    with pytest.raises(Refused):
        Wire(address, hello={"token": tokens.write(b"forged", bytes(32))})
    members.until(lambda: len(lines(tmp_path, "denied")) == 3, "denials to be recorded")
    members.until(lambda: len(lines(tmp_path, "login_failed")) == 1, "a failure to be recorded")
    told = [
        (line["user"], line["credential"], line["address"], line["verb"], line.get("path"), line["reason"])
        for line in lines(tmp_path, "denied")
    ]
    who = ("ci", number_of("ci"), "127.0.0.1")
    assert told == [
        (*who, "GET", "/b/secret", "needs read on /b/secret"),
        (*who, "SET", "/a/x", "needs write on /a/x"),
        (*who, "AUTH", None, "needs admin on /**"),
    ]
    assert [line["user"] for line in lines(tmp_path, "login")] == ["ci"]
    changed = [line["reason"] for line in lines(tmp_path, "rights")]
    assert [reason.split()[0] for reason in changed] == [
        "set_user",
        "add_token",
        "set_role",
        "set_user",
        "add_token",
        "set_user",
    ]
    assert "name=reader grants=[['read', [1, '/a']]]" in changed[2]
    whole = b"".join(file.read_bytes() for file in (tmp_path / "n1" / "audit").iterdir())
    for secret in (b"a value that is a secret", *(text.encode() for text in TOKENS.values())):
        assert secret not in whole
    for secret in SECRETS.values():
        assert tokens.digest(secret).hex().encode() not in whole
