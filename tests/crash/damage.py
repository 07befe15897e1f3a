"""Damage to the files of a killed node: a start either tells exactly what was acknowledged, or refuses and says why.

A `Sample` is the data directory of a node that was killed right after it acknowledged everything, and what it told
before. A `Damage` is one change to one of its files. `verdict` starts a node on a damaged copy, inside this process,
and raises `Broken` when it is silently different, when it refuses without naming what is wrong, when it refuses and
has changed something, or when `visord check` sees it otherwise than the start does.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any
from unittest import mock

import msgpack

from tests.crash.record import Broken, digest_of
from tests.node_process import NodeProcess
from tests.wire import Wire, new_session
from visor.protocol import verbs
from visor.protocol.limits import DEFAULT
from visord.check import check_directory
from visord.environment import Environment
from visord.node import Node
from visord.raft import recovery
from visord.raft.records import HEADER_SIZE
from visord.settings import Settings, StorageSettings
from visord.state.query import answer
from visord.storage.disk import OsDisk
from visord.storage.errors import DamageError, StorageError
from visord.storage.kernel_sync import KernelSync

SETTINGS = (
    "storage.log_segment_bytes=262144",
    "storage.log_chunk_bytes=65536",
    "storage.log_keep_bytes=20000",
    "log.level=error",
)
STORAGE = StorageSettings(log_segment_bytes=262144, log_chunk_bytes=65536, log_keep_bytes=20000)
SMALL = 512
"""Bytes of a file up to which every single byte is damaged."""


@dataclass
class Sample:
    """A killed node's files, and what it had told."""

    data: Path
    floor: int
    rev: int
    digests: dict[int, int]
    """By rev, of every commit above the floor."""
    files: list[Any]
    """SCAN of everything at `rev`."""
    session: bytes
    answered: dict[int, int]
    """Write id to rev, of what the session has not acknowledged."""


def make_sample(data: Path) -> Sample:
    """Write to a node through two checkpoints, trimming and recycled log segments; kill it."""
    session = new_session()
    with NodeProcess(data, settings=SETTINGS) as node, Wire(node.address, session=session) as wire:
        _fill(wire, 250)
        _checkpoint(node, wire)
        wire.call(verbs.RETAIN, None, None, _fill(wire, 150) - 30)
        time.sleep(1.5)  # until memory is trimmed to beyond the checkpoint: the next one needs a base
        _checkpoint(node, wire)
        _fill(wire, 60)
        _checkpoint(node, wire)
        rev = _fill(wire, 20)
        first = wire.next_id()
        answered = {}
        for request in range(first, first + 5):
            wire.send([verbs.SET, request, first, f"/last/{request}", b"last"])
            answered[request] = rev = wire.answer(request)
        floor = wire.call(verbs.REV)[1]
        digests = {commit[0]: digest_of(commit) for commit in wire.commits(floor + 1)}
        files = wire.call(verbs.SCAN, [verbs.SEL_TREE, "/"])[1]
        node.kill()
    return Sample(data, floor, rev, digests, files, session, answered)


def _fill(wire: Wire, count: int) -> int:
    rev = 0
    for number in range(count):
        value = b"%d" % number * (1 + number % 50) * 20
        if number % 10 == 3:
            rev = wire.call(
                verbs.TXN, [], [[verbs.T_SET, f"/t/{number % 7}/{leaf}", value] for leaf in "abc"]
            )[0]
        elif number % 10 == 7:
            rev = wire.call(verbs.DELETE, f"/s/{(number - 1) % 30}")
        else:
            rev = wire.set(f"/s/{number % 30}", value)
    return rev


def _checkpoint(node: NodeProcess, wire: Wire) -> None:
    made = wire.status()["checkpoint"]["made"]
    node.signal(signal.SIGUSR1)
    while wire.status()["checkpoint"]["made"] == made:
        time.sleep(0.01)


# -- what can happen to a file -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Damage:
    """One change to the file `name` (relative to the data directory)."""

    name: str
    what: str
    change: Callable[[bytes], bytes | None]
    """The file's old contents to its new ones; None: it is gone."""

    def __str__(self) -> str:
        return f"{self.name}: {self.what}"


def flip(name: str, position: int, bit: int) -> Damage:
    def change(old: bytes) -> bytes:
        return old[:position] + bytes([old[position] ^ 1 << bit]) + old[position + 1 :]

    return Damage(name, f"bit {bit} of byte {position} flipped", change)


def cut(name: str, position: int) -> Damage:
    return Damage(name, f"cut at byte {position}", lambda old: old[:position])


def zero(name: str, position: int, end: int) -> Damage:
    def change(old: bytes) -> bytes:
        return old[:position] + bytes(end - position) + old[end:]

    return Damage(name, f"zeros from byte {position} to {end}", change)


def scribble(name: str, position: int, end: int) -> Damage:
    noise = Random(position).randbytes(end - position)
    return Damage(
        name, f"noise from byte {position} to {end}", lambda old: old[:position] + noise + old[end:]
    )


def gone(name: str) -> Damage:
    return Damage(name, "gone", lambda old: None)


def names(data: Path) -> list[str]:
    return sorted(str(path.relative_to(data)) for path in data.rglob("*") if path.is_file())


def last_frame(data: Path) -> tuple[str, int, int]:
    """Return where the newest frame of the log lies: file, first byte, end."""
    recovered = recovery.read(OsDisk(), str(data / "log"))
    piece = recovered.pieces[recovered.at]
    start, end = HEADER_SIZE, HEADER_SIZE
    while (found := piece.frames.at(piece.data, end)) is not None:
        start, end = end, found[0].end
    assert end == piece.end
    return f"log/{Path(piece.path).name}", start, end


def cuts_of_the_last_records(data: Path, rng: Random) -> Iterator[Damage]:
    """The newest frame of the log and the files of the checkpoint, cut at every byte of the last record."""
    name, start, end = last_frame(data)
    for position in range(start, end):
        yield rng.choice((cut, lambda n, p: zero(n, p, end), lambda n, p: scribble(n, p, end)))(
            name, position
        )
    for name in names(data):
        size = (data / name).stat().st_size
        if name.startswith("history/") or name == "manifest":
            yield from (cut(name, position) for position in _spread(size, rng, 60))


def flips(data: Path, rng: Random, count: int) -> Iterator[Damage]:
    """A bit of every byte of small files, `count` of each larger one: its head, its last record, anywhere."""
    log, start, end = last_frame(data)
    for name in names(data):
        size = (data / name).stat().st_size
        places = set(_spread(size, rng, count))
        if name == log:
            places |= set(rng.sample(range(start, end), min(count, end - start)))
        for position in sorted(places):
            yield flip(name, position, rng.randrange(8))


def _spread(size: int, rng: Random, count: int) -> list[int]:
    if size <= SMALL:
        return list(range(size))
    head = rng.sample(range(64), min(64, count // 4))
    tail = rng.sample(range(size - 64, size), min(64, count // 4))
    return sorted({*head, *tail, *rng.sample(range(size), count // 2)})


# -- what a node makes of it --------------------------------------------------------------------------------


def verdict(sample: Sample, damage: Damage, copy: Path) -> str:
    """Start a node on a damaged copy; return "refused" or "started". Raises `Broken`."""
    shutil.copytree(sample.data, copy)
    try:
        victim = copy / damage.name
        new = damage.change(victim.read_bytes())
        if new is None:
            victim.unlink()
        else:
            victim.write_bytes(new)
        before = _contents(copy)
        report = check_directory(copy)
        try:
            asyncio.run(_start(copy, sample))
        except StorageError as error:
            _check_refusal(error, copy, before)
            outcome = "refused"
        else:
            outcome = "started"
        if bool(report.problems) != (outcome == "refused"):
            raise Broken(f"the start {outcome}, visord check says: {report.lines()[-1]}")
    except Broken as error:
        raise Broken(f"{damage}: {error}") from error
    except Exception as error:
        raise Broken(f"{damage}: {type(error).__name__}: {error}") from error
    finally:
        shutil.rmtree(copy)
    return outcome


def _check_refusal(error: StorageError, copy: Path, before: dict[str, int]) -> None:
    if not isinstance(error, DamageError):
        raise Broken(f"refused, but not as damage: {type(error).__name__}: {error}")
    if not error.path.startswith(str(copy)) or error.path not in str(error):
        raise Broken(f"refused without naming a file: {error}")
    if (after := _contents(copy)) != before:
        changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
        raise Broken(f"refused ({error}), and changed {changed}")


def _contents(data: Path) -> dict[str, int]:
    return {name: zlib.crc32((data / name).read_bytes()) for name in names(data) if name != "lock"}


async def _start(data: Path, sample: Sample) -> None:
    """Start a node and compare everything. Raises what kept it from starting, or `Broken`."""
    failures: list[BaseException] = []
    loop = asyncio.get_running_loop()
    # A queue in the kernel takes long to give back, a thread does not.
    with mock.patch.object(KernelSync, "try_new", return_value=None):
        node = Node(Settings(storage=STORAGE), data, Environment.real(loop), DEFAULT, failures.append)
    try:
        node.start()
        await asyncio.wait_for(node.readiness.wait(), 20)
        _compare(node, sample)
    finally:
        node.close()
    if failures:
        raise failures[0]


def _compare(node: Node, sample: Sample) -> None:
    store = node.store
    if (store.rev, store.floor) != (sample.rev, sample.floor):
        raise Broken(f"silently at rev {store.rev}, floor {store.floor}; was {sample.rev}, {sample.floor}")
    told: Any = answer(store, [verbs.LOG, 1, [verbs.SEL_TREE, "/"], sample.floor + 1])
    found = {commit[0]: digest_of(commit) for commit in msgpack.unpackb(msgpack.packb(told))[1]}
    if found != sample.digests:
        raise Broken("silently other commits")
    files: Any = answer(store, [verbs.SCAN, 1, [verbs.SEL_TREE, "/"]])
    if msgpack.unpackb(msgpack.packb(files))[1] != sample.files:
        raise Broken("silently other files")
    session = node.machine.sessions.get(sample.session)
    kept = {} if session is None else {request: session.outcomes.get(request) for request in sample.answered}
    if kept != sample.answered:
        raise Broken(f"silently other outcomes of a session: {kept}")
