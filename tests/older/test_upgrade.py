"""A rolling upgrade with both versions as real processes: README's procedure, led by either version meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.cluster.ports import address
from tests.older import ROOT
from tests.wire import Closed, Refused, Wire
from visor.protocol import verbs
from visord.state.formats import FORMAT, RIGHTS

pytestmark = pytest.mark.soak

PATIENCE = 30.0
"""Seconds for what takes a moment: the machine may be busy."""
SETTLED_CODES = ("lost_leadership", "unsettled", "session_lost")
"""Refusals of writes that may have happened."""


class Cluster:
    """Members of either version, each at its addresses and with its directory."""

    def __init__(self, at: Path, older: Path, form: int) -> None:
        self.at = at
        self.form = form
        """The format that the older version writes."""
        self.code = {"older": older, "newer": ROOT}
        self.places: dict[str, tuple[str, str]] = {}
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, which: str, *more: str) -> None:
        client, peer = self.places.setdefault(name, (address(), address()))
        environment = {**os.environ, "PYTHONPATH": str(self.code[which])}
        environment |= {"HOME": str(self.at), "XDG_STATE_HOME": str(self.at / "state")}
        command = [sys.executable, "-m", "visord", "serve", "--data-dir", str(self.at / name), "--name", name]
        with self.log(name).open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [*command, "--listen", client, "--peer-listen", peer, *more],
                env=environment, stdout=log, stderr=log, cwd=self.at,
            )  # fmt: skip

    def log(self, name: str) -> Path:
        return self.at / f"{name}.log"

    def wire(self, name: str) -> Wire:
        return Wire(self.places[name][0], timeout=PATIENCE)

    def status(self, name: str) -> dict[str, Any]:
        with self.wire(name) as wire:
            found: dict[str, Any] = wire.call(verbs.STATUS)
            return found

    def serves(self, name: str) -> None:
        """Wait until a member takes writes."""

        def written() -> bool:
            with self.wire(name) as wire:
                wire.call(verbs.SET, f"/serves/{name}", b"")
            return True

        until(written)

    def leader(self) -> str:
        def found() -> str | None:
            for name, process in self.processes.items():
                if process.poll() is None:
                    with suppress(OSError, Refused, Closed), self.wire(name) as wire:
                        leader: str | None = wire.welcome["leader"]
                        return leader
            return None

        leads: str = until(found)
        return leads

    def upgrade(self, name: str) -> None:
        """As README says: stop, start, wait until it is healthy."""
        process = self.processes[name]
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE) == 0
        self.start(name, "newer")
        self.serves(name)

    def transfer(self, name: str) -> None:
        def moved() -> bool:
            if self.leader() != name:
                with self.wire(self.leader()) as wire:
                    wire.call(verbs.ADMIN, "transfer", [name])
            return self.leader() == name

        until(moved)

    def close(self) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                process.kill()
            process.wait()


def until(true: Callable[[], Any]) -> Any:
    """Wait for something; what a member refuses, or does not answer, is asked again."""
    deadline = time.monotonic() + PATIENCE
    while True:
        with suppress(OSError, Refused, Closed):
            found = true()
            if found:
                return found
        assert time.monotonic() < deadline
        time.sleep(0.05)


class Writer(threading.Thread):
    """Writes to one member all the time; remembers what was acknowledged, and what was refused for good."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        super().__init__(daemon=True)
        self.cluster = cluster
        self.member = name
        self.acknowledged: list[str] = []
        self.wrong: list[str] = []
        self.stopped = threading.Event()

    def run(self) -> None:
        number = 0
        while not self.stopped.wait(0.02):
            try:
                with self.cluster.wire(self.member) as wire:
                    while not self.stopped.wait(0.02):
                        number += 1
                        path = f"/written/{self.member}/{number}"
                        wire.call(verbs.SET, path, b"x")
                        self.acknowledged.append(path)
            except Refused as error:
                if error.code not in (*SETTLED_CODES, "no_quorum", "closing", "not_leader"):
                    self.wrong.append(str(error))
            except (OSError, Closed):
                continue


@pytest.fixture
def cluster(earlier: tuple[Path, int], tmp_path: Path) -> Iterator[Cluster]:
    made = Cluster(tmp_path, *earlier)
    try:
        made.start("n1", "older", "--bootstrap")
        made.serves("n1")
        for name in ("n2", "n3"):
            made.start(name, "older", "--join", made.places["n1"][1])
            made.serves(name)
        until(lambda: all(one["role"] == "voter" for one in made.status("n1")["members"]))
        yield made
    finally:
        made.close()


def test_a_rolling_upgrade_loses_nothing_and_stops_nobody(cluster: Cluster) -> None:
    writers = [Writer(cluster, name) for name in ("n1", "n2", "n3")]
    for writer in writers:
        writer.start()
    cluster.transfer("n1")
    cluster.upgrade("n2")  # follows a leader of the older version
    cluster.transfer("n2")  # leads two of the older version
    for name in ("n1", "n2", "n3"):
        cluster.serves(name)
    assert cluster.status("n2")["format"] == cluster.form
    assert "one runs an older version" in refused_change(cluster, "n2")
    assert sorted(cluster.status("n2")["format_waits_for"]) == ["n1", "n3"]
    cluster.transfer("n3")  # the older version leads again
    cluster.upgrade("n1")
    cluster.processes["n3"].kill()  # an election between members of this version
    cluster.processes["n3"].wait()
    cluster.serves("n1")
    cluster.start("n3", "older")  # comes back as it was, to a leader of this version
    cluster.serves("n3")
    assert cluster.status(cluster.leader())["format_waits_for"] == ["n3"]
    assert all(process.poll() is None for process in cluster.processes.values())
    cluster.upgrade("n3")
    until(lambda: all(cluster.status(name)["format"] == FORMAT for name in cluster.places))
    for writer in writers:
        writer.stopped.set()
    for writer in writers:
        writer.join(PATIENCE)
        assert writer.wrong == []
        assert len(writer.acknowledged) > 10
    for name in cluster.places:
        with cluster.wire(name) as wire:
            for path in (path for writer in writers for path in writer.acknowledged):
                assert wire.call(verbs.GET, path)[1] is not None, (name, path)
        assert cluster.status(name)["alarms"] == [
            one for one in cluster.status(name)["alarms"] if "peers open" in one
        ]
    assert {name: process.poll() for name, process in cluster.processes.items()} == dict.fromkeys(
        cluster.places
    )
    refused_an_older_one(cluster)
    closed(cluster)


def refused_change(cluster: Cluster, name: str) -> str:
    """Return why a change of rights is refused that the older version does not know."""
    if cluster.form < RIGHTS:
        return changes_rights(cluster, name)
    with cluster.wire(name) as wire, pytest.raises(Refused) as refused:
        wire.call(verbs.AUTH, "revoke_certificate", {"fingerprint": "a" * 64})
    return str(refused.value)


def changes_rights(cluster: Cluster, name: str) -> str:
    """Make a user that may do everything; return why that is refused, "" when it is done."""
    try:
        with cluster.wire(name) as wire:
            wire.call(verbs.AUTH, "set_user", {"name": "ada", "roles": ["root"]})
    except Refused as refused:
        return str(refused)
    return ""


def closed(cluster: Cluster) -> None:
    """Rights can be changed now, and hold on every member."""
    assert changes_rights(cluster, "n1") == ""
    with cluster.wire("n3") as wire:
        wire.call(verbs.AUTH, "set_user", {"name": "anonymous", "roles": []})
    for name in cluster.places:
        for verb, *fields in ((verbs.GET, "/serves/n1"), (verbs.SET, "/serves/n1", b"")):
            with cluster.wire(name) as wire, pytest.raises(Refused) as refused:
                wire.call(verb, *fields)
            assert refused.value.code == "denied"


def refused_an_older_one(cluster: Cluster) -> None:
    """A newcomer of the older version is told why it cannot be a member, and nobody else is disturbed."""
    cluster.start("n4", "older", "--join", cluster.places["n2"][1])
    assert cluster.processes.pop("n4").wait(PATIENCE) not in (0, None)
    assert "install a later version there" in cluster.log("n4").read_text()
    del cluster.places["n4"]
    assert len(cluster.status("n1")["members"]) == 3
    cluster.serves("n1")
