"""Three members, and no file of any of them that holds what was redacted, whatever became of them meanwhile."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.admin.members import Members
from tests.wire import Wire, new_session
from visor.protocol import verbs
from visord.settings import StorageSettings
from visord.state.digest import state_hash

SECRET: Final = b"correct horse battery staple"
SMALL: Final = StorageSettings(
    log_segment_bytes=256 << 10,
    log_chunk_bytes=64 << 10,
    log_keep_bytes=64 << 10,
    checkpoint_log_bytes=128 << 10,
    history_segment_bytes=1 << 20,
    reserve_bytes=1 << 20,
    spare_log_bytes=64 << 10,
)
NAMES: Final = ("n1", "n2", "n3")


@pytest.fixture
def members(tmp_path: Path) -> Iterator[Members]:
    with Members(tmp_path, storage=SMALL) as members:
        members.start(*NAMES)
        yield members


def holding(directory: Path) -> list[str]:
    """The files below a directory that hold the secret's bytes."""
    return [
        str(path.relative_to(directory)) for path in directory.rglob("*") if path.is_file() and _holds(path)
    ]


def _holds(path: Path) -> bool:
    try:
        return SECRET in path.read_bytes()
    except FileNotFoundError:  # removed meanwhile
        return False


def lies_everywhere(directory: Path) -> bool:
    """In the log and in history."""
    names = holding(directory)
    return all(any(each in name for name in names) for each in ("log/", "history/commits"))


def fill(wire: Wire, kib: int) -> None:
    for number in range(kib // 8):
        wire.call(verbs.SET, f"/noise/{number % 50}", os.urandom(8 << 10))


def is_clean(members: Members, name: str, redactions: int) -> bool:
    node = members.node(name)
    return node.store.redacted.count == redactions and not node.scrubbing.owed


def all_clean(members: Members, redactions: int, *names: str) -> None:
    for name in names:
        members.until(lambda name=name: is_clean(members, name, redactions), f"{name} to be clean")  # type: ignore[misc]
        assert holding(members.directory(name)) == []


def equal(members: Members) -> None:
    rev = max(members.on_loop(lambda name=name: members.node(name).store.rev) for name in NAMES)  # type: ignore[misc]
    for name in NAMES:
        members.until(lambda name=name: members.node(name).store.rev >= rev, f"{name} to have rev {rev}")  # type: ignore[misc]
    hashes = {members.on_loop(lambda name=name: state_hash(members.node(name).store, rev)) for name in NAMES}  # type: ignore[misc]
    assert len(hashes) == 1


def test_it_is_in_no_file_of_any_member(members: Members, tmp_path: Path) -> None:
    leader = members.leader()
    assert leader is not None
    away, other = members.replicas()
    with Wire(members.address(leader), session=new_session()) as wire:
        for _ in range(3):  # into history, recycled files of the log and kept outcomes
            wire.call(verbs.SET, "/secret", SECRET)
            wire.call(verbs.TXN, [], [[verbs.T_GET, "/secret"], [verbs.T_SET, "/b", b""]])
            fill(wire, 400)
        wire.call(verbs.SET, "/secret", SECRET)
        rev = wire.call(verbs.SET, "/secret", b"rotated")
        for name in NAMES:
            members.until(lambda name=name: members.node(name).store.rev == rev, f"{name} at rev {rev}")  # type: ignore[misc]
            members.until(
                lambda name=name: lies_everywhere(members.directory(name)), f"checkpoints of {name}"
            )  # type: ignore[misc]

        members.stop(away)
        shutil.copytree(members.directory(away), tmp_path / "copy")
        answer = wire.call(verbs.REDACT, "/secret", 1, rev - 1, "it leaked")
        assert answer[:2] == [rev, 4]
        members.stop(other)  # in the middle of it
        members.start(other)
        all_clean(members, 1, leader, other)
        fill(wire, 400)  # the log of before is gone: who comes back needs a checkpoint

        members.start(away)
        all_clean(members, 1, *NAMES)
        equal(members)

        members.stop(away)  # somebody copies an old directory back
        members.forget(away)
        shutil.copytree(tmp_path / "copy", members.directory(away))
        assert holding(members.directory(away))
        members.stop(leader)  # who has heard that a member stores something does not believe that it lost it
        members.start(away)
        members.start(leader)
        all_clean(members, 1, *NAMES)
        equal(members)

    with Wire(members.address(leader)) as wire:
        found = wire.call(verbs.GET, "/secret", rev - 1)[1][1]
        assert found.startswith(b"redacted by ") and found.endswith(b": it leaked")
        assert wire.call(verbs.GET, "/secret")[1][1] == b"rotated"


def test_it_is_done_while_everybody_writes(members: Members) -> None:
    leader = members.leader()
    assert leader is not None
    with Wire(members.address(leader)) as wire, Wire(members.address(members.replicas()[0])) as replica:
        wire.call(verbs.SET, "/secret", SECRET)
        fill(wire, 200)
        assert replica.call(verbs.REDACT, "/secret")[1] == 1
        waiting = set(NAMES)
        for _ in range(2000):
            fill(wire, 16)
            waiting = {
                name for name in waiting if not members.on_loop(lambda name=name: is_clean(members, name, 1))
            }  # type: ignore[misc]
            if not waiting:
                break
        all_clean(members, 1, *NAMES)
        wire.call(verbs.SET, "/secret", SECRET)
        assert wire.call(verbs.REDACT, "/secret")[1] == 1
        all_clean(members, 2, *NAMES)
        equal(members)
