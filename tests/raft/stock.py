"""Stock pysyncobj, unchanged, as a member of `trap_world.World`: its own consensus, journal, compaction and pickles.

Only what lies outside of it is the world's: the clock, the random numbers, the network, and no poller (there are no
sockets). Nodes hash by their id's bytes, so that a seed means the same whatever PYTHONHASHSEED is.
"""

from __future__ import annotations

import importlib.util
import logging
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pysyncobj import FAIL_REASON, SyncObjConf
from pysyncobj.node import Node
from pysyncobj.transport import Transport

from tests.raft.trap_world import HEARTBEAT, MAX_TIMEOUT, MIN_TIMEOUT, Member, Raw, World

NEVER = 10**9


class SteadyNode(Node):  # type: ignore[misc]
    """A node whose hash does not depend on the process."""

    def __hash__(self) -> int:
        return int.from_bytes(self.id.encode(), "big")


class Wire(Transport):  # type: ignore[misc]
    """pysyncobj's end of the world's network. Messages are pickled, as its own transport does."""

    def __init__(self, world: World, me: str, node: type[Node]) -> None:
        super().__init__(None, None, [])
        self.world = world
        self.me = me
        self.nodes = {peer: node(peer) for peer in world.ids if peer != me}

    def send(self, node: Any, message: dict[str, Any]) -> bool:
        return self.world.send(self.me, node.id, pickle.dumps(message))

    def addNode(self, node: Any) -> None:  # noqa: N802
        pass

    def dropNode(self, node: Any) -> None:  # noqa: N802
        pass

    def destroy(self) -> None:
        pass


class _NoPoller:
    """There are no sockets to ask."""

    def poll(self, seconds: float) -> None:
        pass


def load(clock: Callable[[], float], rng: Any) -> Any:
    """Return a copy of pysyncobj's module with this clock and these random numbers."""
    spec = importlib.util.find_spec("pysyncobj.syncobj")
    assert spec is not None and spec.loader is not None
    module: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.monotonicTime = clock
    module.random = rng
    module.createPoller = lambda kind: _NoPoller()
    module.PIPE_NOTIFIER_ENABLED = False
    module.logger = logging.getLogger("stock")
    module.logger.disabled = True  # "may have diverged", and so on: it says it itself
    return module


def machine(module: Any) -> Any:
    """Return a class of replicated objects that keeps the commands it was given."""

    class Commands(module.SyncObj):  # type: ignore[misc, name-defined]
        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            self.applied: list[bytes] = []

        @module.replicated  # type: ignore[misc]
        def put(self, command: bytes) -> None:
            self.applied.append(command)

    return Commands


class StockMember(Member):
    """Further options: `batch`, `conf` (other settings), `machine` (another class), `node` (another class of nodes).

    With a folder it has pysyncobj's journal and dump, without it a log in memory.
    """

    def __init__(self, world: World, me: str) -> None:
        super().__init__(world, me)
        options = world.options
        self.files = Files(world.folder / me) if world.folder is not None else None
        self.module = load(lambda: world.now, world.rng)
        node = options.get("node", SteadyNode)
        self.wire = Wire(world, me, node)
        kind = options.get("machine", machine)(self.module)
        others = [node(peer) for peer in world.ids if peer != me]
        self.node = kind(node(me), others, self._conf(), nodeClass=node, transport=self.wire)

    def _conf(self) -> SyncObjConf:
        options, files = self.world.options, self.files
        settings = {
            "autoTick": False,
            "useFork": False,
            "appendEntriesUseBatch": options.get("batch", False),
            "appendEntriesPeriod": HEARTBEAT,
            "raftMinTimeout": MIN_TIMEOUT,
            "raftMaxTimeout": MAX_TIMEOUT,
            "connectionTimeout": MAX_TIMEOUT + 0.1,
            "logCompactionMinEntries": options.get("compact", NEVER),
            "logCompactionMinTime": NEVER,
            "journalFile": str(files.journal) if files is not None else None,
            "fullDumpFile": str(files.dump) if files is not None else None,
        }
        return SyncObjConf(**{**settings, **options.get("conf", {})})

    def tick(self) -> None:
        self.node.doTick(0)

    def receive(self, source: str, raw: Raw) -> None:
        self.wire._onMessageReceived(self.wire.nodes[source], pickle.loads(raw))

    def connect(self, peer: str, yes: bool) -> None:
        told = self.wire._onNodeConnected if yes else self.wire._onNodeDisconnected
        told(self.wire.nodes[peer])

    def propose(self, command: bytes, done: Callable[[], None]) -> bool:
        self.node.put(command, callback=lambda _, reason: done() if reason == FAIL_REASON.SUCCESS else None)
        return True

    @property
    def applied(self) -> list[bytes]:  # type: ignore[override]
        return self.node.applied  # type: ignore[no-any-return]

    @property
    def leads(self) -> bool:
        return bool(self.node._isLeader())

    @property
    def leader(self) -> str | None:
        leader = self.node._getLeader()
        return None if leader is None else str(leader.id)

    @property
    def term(self) -> int:
        return int(self.node.raftCurrentTerm)

    @property
    def commit(self) -> int:
        return int(self.node.raftCommitIndex)

    @property
    def last(self) -> int:
        return int(self.node._SyncObj__raftLog[-1][1])

    def term_at(self, index: int) -> int | None:
        log = self.node._SyncObj__raftLog
        position = index - log[0][1]
        return int(log[position][2]) if 0 <= position < len(log) else None

    @property
    def half_compacted(self) -> bool:
        # The dump is written at the end of one tick, the journal is trimmed in the next.
        return self.files is not None and self.files.dump.exists() and self.node._SyncObj__raftLog[0][1] == 1

    def hand_over(self, target: str) -> None:
        self.node.transferLeadership(self.wire.nodes[target])

    def died(self, power: bool) -> None:
        if power and self.files is not None:
            self.files.power_cut()


class Files:
    """One member's files: what processes see, and what a sync has put on the disk (pysyncobj's never does)."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.journal = folder / "journal"
        self.dump = folder / "dump"

    def power_cut(self) -> None:
        """Leave what was synced: nothing. Whoever patches `os.fsync` and mmap's `flush` sees that none is called."""
        shutil.rmtree(self.folder)
        os.mkdir(self.folder)  # noqa: PTH102
