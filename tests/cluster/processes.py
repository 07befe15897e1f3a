"""Members of a cluster as real processes: started, killed, stopped, with a clock and links that can be bent.

    with Cluster(folder, Plan(nodes=3)) as cluster:
        cluster.start()                          # returns when all are ready
        cluster.addresses                        # of clients, through the proxy if there is one
        cluster.members["n2"].kill()
        cluster.links.add(...)                   # see `links`

Leaving the block ends everything by force. The processes also end when the one that started them is killed.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

from tests.cluster import ports
from tests.cluster.links import Links
from tests.cluster.namespaces import CLIENT_PORT, PEER_PORT, Namespaces
from tests.node_process import NodeProcess, NotReady, environment
from tests.small_disk import NoMountError, SmallDisk
from tests.wire import Wire

Network = Links | Namespaces | None
SKEWED = Path(__file__).parent / "skewed"
SMALL = (
    "storage.log_segment_bytes=1048576",
    "storage.log_chunk_bytes=262144",
    "storage.log_keep_bytes=1000000",
    "storage.history_segment_bytes=4194304",
    "storage.checkpoint_log_bytes=4000000",
    "storage.checkpoint_seconds=20",
    "log.level=info",
    "log.format=text",
)
"""Settings with which checkpoints, log trimming and installs happen within minutes."""
READY_SECONDS = 60.0
EXPECTED_EXITS = (0, -signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a cluster is made of."""

    nodes: int = 3
    settings: tuple[str, ...] = SMALL
    network: Literal["plain", "proxy", "namespaces"] = "proxy"
    """How members and clients reach each other: loopback, through the proxy, or as `namespaces` says."""
    disk_bytes: int = 0
    """Size of a small file system for each member's data; 0: a folder."""
    extra: tuple[str, ...] = field(default=())
    """More settings, which win over `settings`."""
    plant: str | None = None
    """A bug that all members have (`tests.sim.plants`)."""


class Member(NodeProcess):
    """One member. `client` and `peer` are the addresses that others are told."""

    def __init__(self, name: str, folder: Path, plan: Plan, links: Network, join: str | None) -> None:
        super().__init__(None, arguments=())
        self.name = name
        self.folder = folder
        self.data = folder / "data"
        self.disk: SmallDisk | None = None
        self._plan = plan
        self._clock = folder / "clock"
        self._spoke: float | None = None
        self.stopped = False
        """SIGSTOP was sent and SIGCONT was not."""
        self.expected_down = True
        self.starts = 0
        self._said_before = 0
        self._ready = False
        folder.mkdir(parents=True, exist_ok=True)
        self._clock.write_bytes(bytes(8))
        if plan.disk_bytes:
            self.disk = SmallDisk(folder / "disk", plan.disk_bytes)
            self.data = self.disk.place / "data"
        self._before = ["setpriv", "--pdeathsig", "KILL", "--"] if shutil.which("setpriv") else []
        self._told: tuple[str, ...] = ()
        if isinstance(links, Namespaces):
            self._live_in(links)
        else:
            self._listen_on_loopback(links)
        self._arguments = self._serve(join)
        self._lives = 1

    def _listen_on_loopback(self, links: Links | None) -> None:
        self._listen, self._peer_listen = ports.address(), ports.address()
        self.direct, self.client, self.peer = self._listen, self._listen, self._peer_listen
        if links is not None:
            self.client, self.peer = ports.address(), ports.address()
            links.open_door(self.name, "client", self.client, self._listen)
            links.open_door(self.name, "peer", self.peer, self._peer_listen)

    def _live_in(self, spaces: Namespaces) -> None:
        spaces.add_member(self.name)
        self._before = ["ip", "netns", "exec", spaces.namespace(self.name), *self._before]
        self._listen, self._peer_listen = f"0.0.0.0:{CLIENT_PORT}", f"0.0.0.0:{PEER_PORT}"
        self._told = ("listen.insecure=true", "peers.insecure=true")
        host = spaces.host(self.name)
        self.client, self.peer = f"{host}:{CLIENT_PORT}", f"{host}:{PEER_PORT}"
        self.direct = f"{spaces.host(self.name, control=True)}:{CLIENT_PORT}"

    def _serve(self, join: str | None) -> list[str]:
        arguments = ["serve", "--name", self.name, "--data-dir", str(self.data)]
        arguments += ["--listen", self._listen, "--peer-listen", self._peer_listen]
        arguments += ["--bootstrap"] if join is None else ["--join", join]
        told = (*self._told, f"listen.advertise={self.client}", f"peers.advertise={self.peer}")
        for setting in (*self._plan.settings, *self._plan.extra, *told):
            arguments += ["--set", setting]
        return arguments

    def _program(self) -> list[str]:
        return ["visord"] if self._plan.plant is None else ["tests.cluster.planted", self._plan.plant]

    def begin_anew(self, join: str) -> None:
        """Forget all data: the next start joins with an empty directory, at the same addresses, as somebody else."""
        shutil.rmtree(self.data)
        self._lives += 1
        self.data = self.data.with_name(f"data-{self._lives}")
        self._arguments = self._serve(join)

    def launch(self) -> None:
        """Start it and return at once."""
        self._close_stdout()
        self._buffered = b""
        self.stopped = self.expected_down = self._ready = False
        self.starts += 1
        self._spoke = None
        self._said_before = os.fstat(self._stderr.fileno()).st_size
        environ = environment()
        environ["PYTHONPATH"] = os.pathsep.join((str(SKEWED), environ["PYTHONPATH"]))
        environ["CLUSTER_CLOCK_FILE"] = str(self._clock)
        self._process = subprocess.Popen(
            [*self._before, sys.executable, "-m", *self._program(), *self._arguments],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=self._stderr,
            env=environ,
        )

    def await_ready(self, seconds: float = READY_SECONDS) -> None:
        """Wait for the ready line. Raises `NotReady`."""
        line = self.line(seconds)
        if not line.startswith("visord ready on "):
            raise NotReady(f"{self.name}: {line!r} instead of a ready line; {self.errors()[-2000:]}")
        self._ready = True

    def is_ready(self) -> bool:
        """Tell whether it has said that it is ready since it was launched."""
        if not self._ready:
            with contextlib.suppress(NotReady):
                self.await_ready(0.0)
        return self._ready

    def up_since(self) -> float | None:
        """Return when it was first seen that it said something since it was launched, in monotonic seconds."""
        if self._spoke is None and os.fstat(self._stderr.fileno()).st_size > self._said_before:
            self._spoke = time.monotonic()
        return self._spoke

    def kill(self) -> None:
        """SIGKILL."""
        self.expected_down = True
        super().kill()
        self.stopped = False

    def terminate(self, timeout: float = 30.0) -> int:
        """SIGTERM; return the exit code."""
        self.expected_down = True
        return self.stop(timeout)

    def pause(self) -> None:
        """SIGSTOP."""
        self.signal(signal.SIGSTOP)
        self.stopped = True

    def resume(self) -> None:
        """SIGCONT."""
        if self.stopped and self.running():
            self.signal(signal.SIGCONT)
        self.stopped = False

    def set_clock(self, seconds: float) -> None:
        """Let its wall clock be so many seconds ahead (or behind) from now on."""
        data = int(seconds * 1e9).to_bytes(8, "little", signed=True)
        with self._clock.open("r+b") as file:
            os.pwrite(file.fileno(), data, 0)

    def fault(self) -> str | None:
        """Return what is wrong with its process by itself: it ended, although nobody ended it."""
        if self._process is None or self.running() or self.expected_down:
            return None
        said = os.pread(self._stderr.fileno(), 1 << 20, self._said_before).decode("utf-8", "replace")
        return f"{self.name} ended by itself with {self.process.poll()}: {said[-3000:]}"

    def wire(self, timeout: float = 10.0) -> Wire:
        """Return a connection past the proxy."""
        return Wire(self.direct, timeout=timeout)

    def close(self) -> None:
        """End it by force; give its disk back."""
        self.expected_down = True
        self.resume()
        super().close()
        if self.disk is not None:
            self.disk.close()


class Cluster:
    """See the module."""

    def __init__(self, folder: Path, plan: Plan) -> None:
        self.folder = folder
        self.plan = plan
        makers: dict[str, Callable[[], Network]] = {
            "plain": lambda: None,
            "proxy": Links,
            "namespaces": Namespaces,
        }
        self._links = makers[plan.network]()
        self.members: dict[str, Member] = {}
        try:
            for number in range(1, plan.nodes + 1):
                self.add(f"n{number}")
        except BaseException:
            self.close()
            raise

    @property
    def links(self) -> Links | Namespaces:
        """What can be cut."""
        if self._links is None:
            raise ValueError("the links of this cluster cannot be bent")
        return self._links

    @property
    def addresses(self) -> list[str]:
        """Where clients connect."""
        return [member.client for member in self.members.values()]

    def add(self, name: str) -> Member:
        """Make one more member, that will join the others when it is started (the first one founds the cluster)."""
        join = self.peers_but(name) or None
        member = Member(name, self.folder / name, self.plan, self._links, join)
        self.members[name] = member
        return member

    def peers_but(self, name: str) -> str:
        """Return the peer addresses of all other members, as `--join` takes them."""
        return ",".join(member.peer for member in self.members.values() if member.name != name)

    def drop(self, name: str) -> None:
        """Forget a member that is gone for good."""
        self.members.pop(name).close()

    def start(self, seconds: float = READY_SECONDS) -> None:
        """Start all and return when all are ready and vote."""
        for number, member in enumerate(self.members.values()):
            member.launch()
            if number == 0:
                member.await_ready(seconds)
        for number, member in enumerate(self.members.values()):
            if number:
                member.await_ready(seconds)
        self.await_voters(len(self.members), seconds)

    def await_voters(self, count: int, seconds: float = READY_SECONDS) -> None:
        """Return when the leader counts so many voters, all of them current. Raises `NotReady`."""
        deadline = time.monotonic() + seconds
        while True:
            status = self.leader_status()
            rows = status["members"] if status else []
            voters = [row for row in rows if row["role"] == "voter"]
            if len(voters) == count and all(row.get("behind", 0) < 1000 for row in voters):
                return
            if time.monotonic() > deadline:
                raise NotReady(f"not {count} voters within {seconds:g} s: {rows}")
            time.sleep(0.05)

    def leader_status(self) -> dict[str, Any] | None:
        """Return STATUS of the member that says that it leads, in the highest term; None when nobody does."""
        best: dict[str, Any] | None = None
        for status in self.statuses().values():
            leads = status["leader"] == status["node"]
            if leads and (best is None or status["term"] > best["term"]):
                best = status
        return best

    def leader(self) -> Member | None:
        """Return the member that leads."""
        status = self.leader_status()
        return None if status is None else self.members[str(status["node"])]

    def statuses(self) -> dict[str, dict[str, Any]]:
        """Return STATUS of all members that answer soon, past the proxy."""
        found = {}
        for name, member in list(self.members.items()):
            if not member.running() or member.stopped:
                continue
            try:
                with member.wire(2.0) as wire:
                    found[name] = wire.status()
            except (OSError, TimeoutError, AssertionError, RuntimeError):
                continue
            except Exception as error:  # refused or closed: it is about to stop
                if type(error).__name__ not in ("Refused", "Closed"):
                    raise
        return found

    def faults(self) -> list[str]:
        """Return what members did by themselves that they should not."""
        return [fault for member in self.members.values() if (fault := member.fault()) is not None]

    def close(self) -> None:
        """End everything. Idempotent."""
        for member in self.members.values():
            member.close()
        if self._links is not None:
            self._links.close()

    def __enter__(self) -> Cluster:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


__all__ = ["SMALL", "Cluster", "Member", "NoMountError", "Plan"]
