"""Group commit, checkpoints, restarts and `visord check`, end to end."""

from __future__ import annotations

import json
import signal
import threading
import time
from pathlib import Path
from random import Random

import pytest

from tests.node_process import SMALL, NodeProcess, run
from tests.patience import PATIENCE, eventually
from tests.wire import Wire, new_session
from visor.protocol import verbs as v
from visord import embed
from visord.node import Node


def node_of(server: embed.Embedded) -> Node:
    assert server._server is not None
    assert server._server.node is not None
    return server._server.node


def test_writes_of_many_connections_share_syncs(tmp_path: Path) -> None:
    """While one sync runs, everybody's writes gather for the next."""
    with embed.start(tmp_path / "data") as server:
        log = node_of(server).log
        wires = [Wire(server.address) for _ in range(20)]
        before = log.syncs
        for round_ in range(20):
            requests = [wire.ask(v.SET, f"/g/{number}", b"%d" % round_) for number, wire in enumerate(wires)]
            for wire, request in zip(wires, requests, strict=True):
                wire.answer(request)
        assert log.syncs - before <= 200  # 400 writes, often far fewer syncs
        before = log.syncs
        wire = wires[0]
        requests = [wire.next_id() for _ in range(1000)]
        wire.send(*[[v.SET, request, 0, "/g/0", b"x"] for request in requests])
        for request in requests:
            wire.answer(request)
        assert log.syncs - before <= 100
        assert [commit[0] for commit in wire.commits()] == list(range(1, 1401))
        for wire in wires:
            wire.close()


def test_an_answer_means_that_the_log_is_durable(tmp_path: Path) -> None:
    with embed.start(tmp_path / "data") as server, Wire(server.address) as wire:
        node = node_of(server)
        for number in range(50):
            wire.set("/d", b"%d" % number)
            status = wire.status()
            assert status["durable"] >= status["applied"] >= number + 1
            assert node.log.durable_index >= node.machine.index


class Load(threading.Thread):
    """Sets files of its own, pipelined, until it is told to stop; knows what must be there."""

    def __init__(self, address: str, name: str) -> None:
        super().__init__()
        self.state: dict[str, tuple[int, bytes]] = {}
        self.slowest = 0.0
        self._stop_asked = threading.Event()
        self._wire = Wire(address, session=new_session())
        self._name = name
        self.start()

    def run(self) -> None:
        rng = Random(self._name)
        number = 0
        while not self._stop_asked.is_set():
            started = time.monotonic()
            batch = []
            for _ in range(16):
                number += 1
                path, value = f"/{self._name}/{rng.randrange(50)}", b"%d" % number * rng.randrange(1, 60)
                batch.append((path, value, self._wire.ask(v.SET, path, value)))
            for path, value, request in batch:
                self.state[path] = (self._wire.answer(request), value)
            self.slowest = max(self.slowest, time.monotonic() - started)
        self._wire.close()

    def finish(self) -> dict[str, tuple[int, bytes]]:
        self._stop_asked.set()
        self.join(PATIENCE)
        assert not self.is_alive()
        return self.state


def files(wire: Wire) -> dict[str, tuple[int, bytes]]:
    _, rows, cursor, _ = wire.call(v.SCAN, [v.SEL_TREE, "/"])
    assert cursor is None
    return {path: (version[0], version[1]) for path, version in rows}


def await_writes(wire: Wire, index: int) -> None:
    """Wait until a command of that index is applied."""
    eventually(lambda: wire.status()["applied"] >= index)


def checkpoint(node: NodeProcess, wire: Wire) -> int:
    """Make one now; return the index that it stands at."""
    made = wire.status()["checkpoint"]["made"]
    node.signal(signal.SIGUSR1)
    deadline = time.monotonic() + PATIENCE
    while (status := wire.status()["checkpoint"])["made"] == made:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert status["failure"] is None
    return int(status["index"])


@pytest.mark.soak
@pytest.mark.parametrize("end", ["kill", "stop"])
def test_checkpoints_while_writing_and_a_start_from_the_last(tmp_path: Path, end: str) -> None:
    settings = (*SMALL, "storage.log_keep_bytes=100000")
    with NodeProcess(tmp_path / "data", settings=settings) as node:
        loads = [Load(node.address, f"load{number}") for number in range(3)]
        with Wire(node.address) as wire:
            indexes = [0]
            for _ in range(5):
                await_writes(wire, indexes[-1] + 10)
                indexes.append(checkpoint(node, wire))
            assert indexes == sorted(set(indexes))
            expected: dict[str, tuple[int, bytes]] = {}
            for load in loads:
                expected |= load.finish()
                assert load.slowest < PATIENCE
            status = wire.status()
            assert status["log_entries"] < status["applied"]  # the log's beginning was given back
            history = wire.commits()
            assert files(wire) == expected
        if end == "kill":
            node.kill()
        else:
            assert node.stop() == 0
        assert node.complaints() == ""
        report = run("check", str(tmp_path / "data"))
        assert report.returncode == 0, report.stdout
        node.start()
        with Wire(node.address) as wire:
            assert files(wire) == expected
            assert wire.commits() == history
            assert wire.rev() == history[-1][0]
            assert wire.set("/more", b"1") == history[-1][0] + 1


def test_a_checkpoint_is_made_after_so_much_log(tmp_path: Path) -> None:
    settings = (*SMALL, "storage.checkpoint_log_bytes=100000")
    with NodeProcess(tmp_path / "data", settings=settings) as node, Wire(node.address) as wire:
        deadline = time.monotonic() + PATIENCE
        while wire.status()["checkpoint"]["made"] < 2:
            assert time.monotonic() < deadline
            wire.set("/a", b"x" * 5000)


def test_a_checkpoint_is_made_after_so_much_time(tmp_path: Path) -> None:
    settings = (*SMALL, "storage.checkpoint_seconds=0.2")
    with NodeProcess(tmp_path / "data", settings=settings) as node, Wire(node.address) as wire:
        wire.set("/a", b"1")
        eventually(lambda: wire.status()["checkpoint"]["index"] == wire.status()["applied"])
        made = wire.status()["checkpoint"]["made"]
        time.sleep(0.5)
        assert wire.status()["checkpoint"]["made"] == made  # nothing has changed since


@pytest.mark.soak
def test_restarts_keep_counting(tmp_path: Path) -> None:
    with NodeProcess(tmp_path / "data") as node:
        for round_ in range(4):
            with Wire(node.address) as wire:
                assert wire.rev() == round_ * 10
                for number in range(10):
                    assert wire.set("/n", b"%d" % number) == round_ * 10 + number + 1
            node.kill() if round_ % 2 else node.stop()
            node.start()
        with Wire(node.address) as wire:
            assert len(wire.commits()) == 40
            assert wire.get("/n", 17) == b"6"


def test_check_tells_what_a_directory_holds(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with NodeProcess(data) as node:
        with Wire(node.address) as wire:
            wire.set("/a", b"1")
        busy = run("check", str(data))
        assert busy.returncode == 75  # in use: nothing can be said
        assert str(node.pid) in busy.stdout + busy.stderr
        assert "Traceback" not in busy.stderr
        node.stop()
    sound = run("check", str(data), "--json")
    assert sound.returncode == 0
    document = json.loads(sound.stdout)
    assert document["sound"] is True
    assert document["rev"] == 1
    assert run("check", str(tmp_path / "none")).returncode == 2
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "photo.jpg").write_bytes(b"dear")
    foreign = run("check", str(tmp_path / "other"))
    assert foreign.returncode == 78
    assert "Traceback" not in foreign.stderr
