"""The audit of a cluster that runs: what its members record, each once, and over a restart."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import visor
from tests.admin.members import Members
from visor import errors
from visord.audit.verifying import verify_files
from visord.settings import AuditSettings


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


def lines(folder: Path, name: str, chain: str) -> list[dict[str, Any]]:
    file = folder / name / "audit" / f"{chain}.log"
    return [json.loads(line) for line in file.read_bytes().splitlines()] if file.exists() else []


def of(folder: Path, event: str, chain: str = "changes") -> Callable[[], list[dict[str, Any]]]:
    return lambda: [
        line for name in ("n1", "n2", "n3") for line in lines(folder, name, chain) if line["event"] == event
    ]


def removals(folder: Path) -> list[dict[str, Any]]:
    return [one for one in of(folder, "members")() if one["verb"] == "ADMIN remove"]


def test_what_operators_do_is_recorded_once_and_the_chain_goes_over_a_restart(folder: Path) -> None:
    with Members(folder) as members:
        members.start("n1", "n2", "n3")
        replica = members.replicas()[0]
        with visor.dial(members.address(replica), actor="ann") as client:
            client.set("/secret", b"never in the audit")
            client.retain(revs=1000)
            with pytest.raises(errors.VisorError):
                client.admin.remove("nobody")
        members.until(lambda: len(of(folder, "retain")()) == 1, "RETAIN to be recorded")
        line = of(folder, "retain")()[0]
        assert (line["verb"], line["address"], line["node"]) == ("RETAIN", "127.0.0.1", members.leader())
        assert "1000" in line["reason"]
        assert "ann" in line["reason"]
        members.until(lambda: bool(removals(folder)), "the removal to be recorded")
        assert [(one["node"], one["reason"].partition(":")[0]) for one in removals(folder)] == [
            (replica, "nobody")
        ]
        became = [one["reason"] for one in of(folder, "members")() if one["verb"] == "configuration"]
        assert any("n3" in reason for reason in became)
        again(members, folder)
        assert len(of(folder, "retain")()) == 1
        assert len(became) == len([1 for one in of(folder, "members")() if one["verb"] == "configuration"])
    for name in ("n1", "n2", "n3"):
        found = verify_files([folder / name / "audit"])
        assert [one.problem for one in found.values()] == [""] * len(found)
        whole = b"".join(file.read_bytes() for file in (folder / name / "audit").iterdir())
        assert b"never in the audit" not in whole


def again(members: Members, folder: Path) -> None:
    """Stop all members and start them again: what is applied anew is not recorded anew."""
    for name in ("n1", "n2", "n3"):
        members.stop(name)
    members.start("n1", "n2", "n3")
    for name in ("n1", "n2", "n3"):
        members.until(lambda name=name: starts(folder, name) == 2, f"{name} to record its start")


def starts(folder: Path, name: str) -> int:
    return sum(one["event"] == "started" for one in lines(folder, name, "changes"))


def test_who_is_not_let_in_as_a_member_is_recorded(folder: Path) -> None:
    with Members(folder) as members:
        members.start("n1", "n2")
        host, _, port = members.on_loop(lambda: members.node("n1").me.peer).rpartition(":")
        with socket.create_connection((host, int(port))) as stranger:
            stranger.sendall(b"GET / HTTP/1.1\r\n\r\n" * 10)
            while stranger.recv(4096):
                pass
        members.until(lambda: bool(of(folder, "peer_refused", "access")()), "the stranger to be recorded")
        assert of(folder, "peer_refused", "access")()[0]["address"] == "127.0.0.1"


def test_without_an_audit_there_are_no_files(folder: Path) -> None:
    with Members(folder, audit=AuditSettings(on=False)) as members:
        members.start("n1")
        with visor.dial(members.address("n1")) as client:
            client.retain(revs=1000)
    assert not (folder / "n1" / "audit").exists()
