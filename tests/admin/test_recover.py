"""One survivor of a lost majority becomes a new cluster: by an explicit command, and nobody of the old one gets in."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from tests.admin.members import Members
from tests.node_process import run
from tests.patience import PATIENCE
from visor import errors
from visord.check import check_directory
from visord.raft.log import RaftLog
from visord.recover import NothingToRecoverError, recover, survey
from visord.serving.status import why_not_ready
from visord.storage.disk import OsDisk
from visord.storage.errors import IdentityError, LockedError

pytestmark = pytest.mark.soak


def recovered(path: Path) -> None:
    recover(OsDisk(), str(path), random.Random(1))


@pytest.fixture
def stopped(three: Members) -> Members:
    """Three members that held /a and a lease and then all stopped, n1 last; n3 has missed the second write."""
    with three.dial("n1", "n2") as client:
        client.set("/a", b"1")
        client.lease(60, keep=False)
        three.stop("n3")
        client.set("/a", b"2")
    three.until(lambda: three.node("n1").store.rev == three.node("n2").store.rev, "n1 and n2 to be equal")
    three.stop("n2")
    three.stop("n1")
    return three


def test_the_survivor_serves_everything_it_had_and_takes_new_members(stopped: Members) -> None:
    before = survey(OsDisk(), str(stopped.directory("n1")))
    assert (before.rev, len(before.before.members)) == (2, 3)
    recovered(stopped.directory("n1"))
    assert check_directory(stopped.directory("n1")).problems == []
    stopped.forget("n2")
    stopped.forget("n3")
    stopped.start("n1")
    with stopped.dial("n1") as client:
        assert client.cluster != before.identity.cluster
        assert client.get("/a").value == b"2"
        assert len(list(client.leases())) == 1
        assert client.set("/a", b"3") == 3
        assert [one.name for one in client.admin.members().members] == ["n1"]
        stopped.start("n2", "n3")
        assert client.admin.compare().equal
        assert client.admin.survey().problems == ()
    for name in ("n1", "n2", "n3"):
        stopped.stop(name)
    stopped.launch("n2")
    stopped.launch("n3")
    stopped.until(lambda: stopped.leader() is not None, "a leader without the one that was recovered")


def test_old_members_and_old_clients_never_mix_in(stopped: Members) -> None:
    """Those that were thought to be dead come back, with a majority of their own."""
    recovered(stopped.directory("n1"))
    stopped.launch("n2")
    stopped.launch("n3")
    stopped.until(lambda: stopped.leader() is not None, "the old majority to lead")
    with stopped.dial("n2", "n3") as old:
        stopped.launch("n1")
        stopped.until(lambda: stopped.node("n1").engine.is_leader, "n1 to lead its own cluster")
        with stopped.dial("n1") as new:
            new.set("/a", b"new")
            old.set("/a", b"old")
            assert (new.get("/a").value, old.get("/a").value) == (b"new", b"old")
            assert [one.name for one in new.admin.members().members] == ["n1"]
            assert stopped.node("n1").engine.configuration.removed != ()
    stopped.until(lambda: "cluster" in stopped.why_not("n2"), "n2 to be told that n1 is of another cluster")


def test_a_client_that_lived_through_it_is_told(stopped: Members) -> None:
    stopped.start("n1", "n2", "n3")
    with stopped.dial("n1", timeout=PATIENCE) as client:
        client.rev()
        for name in ("n3", "n2", "n1"):
            stopped.stop(name)
        recovered(stopped.directory("n1"))
        stopped.launch("n1")
        with pytest.raises(errors.WrongCluster):
            client.get("/a")
        client.reopen()
        assert client.get("/a").value == b"2"


def test_the_survivor_with_most_can_be_told(stopped: Members) -> None:
    one, three = (survey(OsDisk(), str(stopped.directory(name))) for name in ("n1", "n3"))
    assert (one.term, one.last) > (three.term, three.last)
    assert (one.rev, three.rev) == (2, 1)


@pytest.mark.parametrize("step", ["identity", "manifest", "log"])
def test_a_crash_in_between_serves_nobody_and_can_be_repeated(
    stopped: Members, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = stopped.directory("n1")

    class Failing(OsDisk):
        def rename(self, old: str, new: str) -> None:
            if new.endswith(f"/{step}"):
                raise OSError(5, "the power is off")
            super().rename(old, new)

    def fail(*_: object) -> None:
        raise OSError(5, "the power is off")

    with monkeypatch.context() as patch:
        if step == "log":
            patch.setattr(RaftLog, "setCurrentTerm", fail)
        with pytest.raises(OSError, match="power"):
            recover(Failing(), str(path), random.Random(2))
    stopped.launch("n1")
    if step == "manifest":
        assert isinstance(stopped.outcome("n1"), IdentityError)
    else:
        stopped.until(lambda: "no leader" in why_not_ready(stopped.node("n1")), "n1 to find nobody")
        stopped.stop("n1")
    recovered(path)
    stopped.launch("n1")
    stopped.until(lambda: stopped.leader() == "n1", "n1 to lead")
    with stopped.dial("n1") as client:
        assert client.get("/a").value == b"2"


def test_what_needs_no_recovery_is_refused(stopped: Members, folder: Path) -> None:
    recovered(stopped.directory("n1"))
    with pytest.raises(NothingToRecoverError, match="only member"):
        recovered(stopped.directory("n1"))
    stopped.launch("n1")
    with pytest.raises(LockedError):
        recovered(stopped.directory("n1"))


def test_the_command_says_what_is_lost_and_does_it_only_when_told_twice(stopped: Members) -> None:
    path = stopped.directory("n1")
    before = {file: file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}
    asked = run("recover", "--data-dir", str(path))
    assert asked.returncode == 0  # it said what was asked for
    assert "--i-have-lost-the-majority" in asked.stderr
    assert "LOST: every write that was acknowledged and has not reached this node" in asked.stdout
    after = {file: file.read_bytes() for file in sorted(path.rglob("*")) if file.is_file()}
    assert {file.name for file in before if before[file] != after[file]} <= {"lock"}
    done = run("recover", "--data-dir", str(path), "--i-have-lost-the-majority")
    assert (done.returncode, "DONE" in done.stdout) == (0, True)
    again = run("recover", "--data-dir", str(path), "--i-have-lost-the-majority")
    assert (again.returncode, "only member" in again.stderr) == (1, True)
    assert run("recover", "--data-dir", str(path.parent)).returncode == 78
    assert not (path.parent / "lock").exists()
