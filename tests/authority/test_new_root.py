"""`visord recover --new-root`: who has the machine of a member and no token left is root again, and loudly so."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest

import visor
from tests.admin.members import Members
from tests.auth.test_audit import lines
from tests.authority.conftest import begin, dial, serve
from visor.protocol import tokens
from visord.authority.beginning import new_root
from visord.authority.new_root import NAME, NewRoot, note, noted
from visord.state.auth.auth_store import AuthStore
from visord.state.refusal import Refusal
from visord.storage.disk import OsDisk
from visord.storage.errors import LockedError

TOKEN = tokens.write(b"newone", b"s" * 32)


def test_a_lone_member_gives_root_its_new_token(tmp_path: Path) -> None:
    path = tmp_path / "data"
    begin(path, now_ms=time.time_ns() // 1_000_000)
    told = list(new_root(str(path), str(tmp_path / "root.token")))
    token = (tmp_path / "root.token").read_text().strip()
    assert "when this member has started and leads" in told[0] and token not in " ".join(told)
    assert tokens.digest(b"").hex() not in (path / NAME).read_bytes().hex()
    with serve(path) as node:
        client = None
        while client is None:
            try:
                client = dial(node, path, token)
            except visor.errors.Denied:  # it is being written
                client = None
        with client:
            assert client.auth.whoami().user == "root"
            assert [each.purpose for each in client.auth.tokens()][-1] == "recover --new-root"
            client.set("/a", b"1")
        while (path / NAME).exists():
            pass


def test_a_member_that_follows_leads_first(tmp_path: Path) -> None:
    with Members(tmp_path) as members:
        members.start("n1")
        members.start("n2", "n3")
        with members.dial("n1") as client:
            client.auth.set_user("boss", ["root"])
            client.auth.set_user("anonymous", [])
        name = next(one for one in ("n2", "n3") if not members.node(one).engine.is_leader)
        members.stop(name)
        note(OsDisk(), str(members.directory(name)), TOKEN)
        members.start(name)
        members.until(lambda: "root" in members.node(name).machine.auth.users, "root to be there")
        members.until(lambda: noted(OsDisk(), str(members.directory(name))) is None, "the note to go")
        with visor.dial(members.address("n1"), token=TOKEN) as root:
            assert root.auth.whoami().user == "root"

        def told() -> bool:
            reasons = [line["reason"] for line in lines(tmp_path, "rights", name)]
            return any("add_token id=" in reason and "user=root" in reason for reason in reasons)

        members.until(told, "the audit to tell of it")


def test_a_running_member_is_not_touched(tmp_path: Path) -> None:
    with Members(tmp_path) as members:
        members.start("n1")
        with pytest.raises(LockedError):
            note(OsDisk(), str(members.directory("n1")), TOKEN)


class Engine:
    is_leader = False


class World:
    """A member that was left a note, at a time of its own."""

    def __init__(self, path: Path) -> None:
        self.now = 0.0
        self.engine, self.table, self.form = Engine(), AuthStore(), 4
        self.led: list[Any] = []
        self.written: list[Any] = []
        self.new_root = NewRoot(
            OsDisk(),
            str(path),
            self.engine,
            lambda: self.table,
            lambda: self.form,
            lambda: self.now,
            lambda: True,
            self.led.append,
            lambda author, frames, size: self.written.append(frames),
        )

    def tick(self) -> None:
        self.now += 10
        self.new_root.tick()


def test_it_waits_for_what_it_needs_and_writes_once(tmp_path: Path) -> None:
    path = tmp_path / "data"
    begin(path)
    note(OsDisk(), str(path), TOKEN)
    world = World(path)
    world.form = 2
    world.tick()
    assert world.new_root.waits and not world.led and not world.written  # a member knows no users yet
    world.form = 3
    world.tick()
    assert len(world.led) == 1
    world.led[0](False, ["unsafe", "it is far behind", {}])
    world.engine.is_leader = True
    world.tick()
    assert len(world.written) == 1
    world.new_root.fail(world.written[0], Refusal("unknown", "nobody knows", {}))
    for frame in world.written[0]:  # it was done all the same
        assert world.table.change(frame[3], frame[4], 0) is None
    world.tick()
    assert len(world.written) == 1 and not world.new_root.waits
    assert noted(OsDisk(), str(path)) is None


def test_a_note_that_is_none_stops_nobody(tmp_path: Path) -> None:
    path = tmp_path / "data"
    begin(path)
    (path / NAME).write_bytes(b"rubbish")
    assert not World(path).new_root.waits
