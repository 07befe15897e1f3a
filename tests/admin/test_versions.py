"""A node that meets what a later version wrote stops with its own exit code, and says so; it never guesses."""

from __future__ import annotations

import random
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import msgpack
import pytest

import visor
from tests.admin.members import Members
from tests.node_process import NodeProcess, environment, run
from visord.raft.configuration import FIRST_BYTE as CONFIGURATION
from visord.raft.log import RaftLog
from visord.raft.segments import Options
from visord.state.command import FIRST_BYTE as COMMAND
from visord.storage import manifest as manifests
from visord.storage.disk import OsDisk
from visord.storage.worker import Inline

LATER = 99
EXIT_VERSION = 76


def add_entry(path: Path, entry: bytes) -> None:
    """Put an entry at the end of a stopped node's log, as a leader of a later version would have."""
    rng = random.Random(1)
    log = RaftLog.open(
        OsDisk(),
        str(path / "log"),
        options=Options(ahead=0),
        sync=Inline(),
        background=Inline(),
        random32=lambda: rng.getrandbits(32),
        create=False,
    )
    log.add(entry, log.last_index + 1, log.getCurrentTerm())
    log.flush()
    log.close()


def later_command(path: Path) -> None:
    add_entry(path, COMMAND + msgpack.packb([LATER, 0, []]))


def later_configuration(path: Path) -> None:
    add_entry(path, CONFIGURATION + msgpack.packb([LATER, [], []]))


def later_checkpoint(path: Path) -> None:
    file = path / manifests.NAME
    manifest = manifests.read(OsDisk(), str(path), None)
    assert manifest is not None
    data = manifests.encode(manifest)
    known = msgpack.packb({"format": manifests.FORMAT})[1:]
    other = data[:-4].replace(known, msgpack.packb({"format": LATER})[1:], 1)
    assert other != data[:-4]
    file.write_bytes(other + zlib.crc32(other).to_bytes(4, "little"))


def later_tables(path: Path) -> None:
    manifest = manifests.read(OsDisk(), str(path), None)
    assert manifest is not None
    manifest.tables["format"] = LATER
    manifests.write(OsDisk(), str(path), manifests.encode(manifest))


@pytest.mark.parametrize("change", [later_command, later_configuration, later_checkpoint, later_tables])
def test_a_start_on_what_a_later_version_wrote_is_refused(
    folder: Path, change: Callable[[Path], None]
) -> None:
    with NodeProcess(folder / "n1") as node:
        assert node.stop() == 0
    change(folder / "n1")
    result = run(
        "serve", "--listen", "127.0.0.1:0", "--peer-listen", "127.0.0.1:0", "--data-dir", str(folder / "n1")
    )
    assert result.returncode == EXIT_VERSION
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("visord: ")
    assert f"format {LATER}" in last
    assert "later version" in last


LATER_LEADER = """
import asyncio, sys
import msgpack
from visord.state import command
from visord.state import machine

read = command.read
def reads_both(data):
    if data[:1] == command.FIRST_BYTE and msgpack.unpackb(data[1:])[0] == 99:
        return 0, []  # this version knows it
    return read(data)
command.read = reads_both

from visord import node
start = node.Node.start
def starts(self):
    start(self)
    def propose():
        if len(self.engine.configuration.voters) == 3 and self.engine.is_leader:
            self.engine.propose(command.FIRST_BYTE + msgpack.packb([99, 0, []]))
        else:
            self._loop.call_later(0.1, propose)
    propose()
node.Node.start = starts

from visord.cli import main
sys.argv[0] = "visord"
main()
"""


def leads_no_more(members: Members, name: str) -> bool:
    """Say whether a member has failed; one that leads, because the later one stood still, gives it back."""
    leader = members.leader()
    if leader is not None:
        engine = members.node(leader).engine
        later = [one.id for one in engine.configuration.members if one.name == "later"]
        if later and not engine.transferring:
            engine.transfer_leadership(later[0])
    return members._servers[name].failure is not None


def test_a_replica_stops_at_a_command_of_a_later_leader_and_the_others_go_on(members: Members) -> None:
    """Were it to skip the entry, its state would differ from the leader's from then on."""
    folder = members.directory("x").parent
    arguments = ["serve", "--bootstrap", "--name", "later", "--listen", "127.0.0.1:0"]
    arguments += ["--peer-listen", "127.0.0.1:0", "--data-dir", str(folder / "later")]
    process = subprocess.Popen(
        [sys.executable, "-c", LATER_LEADER, *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment(),
    )
    try:
        assert process.stdout is not None
        address = process.stdout.readline().removeprefix("visord ready on ").strip()
        with visor.dial(address) as client:
            peer = client.admin.members(stale=True).members[0].peer
        members.join = (peer,)
        members.launch("n2")
        members.launch("n3")
        for name in ("n2", "n3"):
            members.until(lambda name=name: leads_no_more(members, name), f"{name} to fail")
            failure = members.ended(name)
            assert type(failure).__name__ == "UnknownFormat", failure
            assert "format 99" in str(failure)
        assert process.poll() is None
    finally:
        process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()
