"""`python -m benchmarks [list | all | NAME...]`: measure, and print one table."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import inspect
import json
import shlex
import signal
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from benchmarks import echo, node, table
from benchmarks.beside import command as beside
from benchmarks.disturbance import Disturbance
from benchmarks.figures import Row, rate
from benchmarks.node import Setting

Benchmark = Callable[[Setting], Iterable[Row]]


def _module(name: str) -> Benchmark:
    """Return the benchmark whose rows module `benchmarks.<name>` yields from `rows(seconds, quick)`."""

    def rows(setting: Setting) -> Iterable[Row]:
        found = importlib.import_module(f"benchmarks.{name}").rows
        offered: dict[str, Any] = {
            "seconds": setting.seconds,
            "quick": setting.quick,
            "parent": setting.parent,
        }
        wanted = inspect.signature(found).parameters
        result: Iterable[Row] = found(**{key: value for key, value in offered.items() if key in wanted})
        return result

    return rows


BENCHMARKS: dict[str, tuple[str, Benchmark]] = {
    "store": ("the store alone, in memory", _module("store")),
    "machine": ("the state machine alone: commands to outcomes", _module("machine")),
    "log": ("the log alone: durable appends", _module("log")),
    "path": ("a node without sockets: what a request costs in Python", _module("path")),
    "watch": ("the watch hub alone: commits to messages", _module("watch")),
    "echo": ("the floor: bare sockets, the same bytes", lambda s: echo.rows(s.seconds, s.quick)),
    "requests": ("one node: gets, sets, mixed; 1 to 256 clients, deep pipelines", node.requests),
    "fanout": ("one node: 100 watchers, 1 and 16 writers", node.watches),
    "checkpoints": (
        "one node: sets while checkpoints are written, history trimmed, files rewritten",
        node.checkpoints,
    ),
    "history": ("one node, ten minutes: 15 million revs: memory, starts, the past", _module("history")),
    "day": ("one node: memory and disk over a day of 100 writes a second", _module("day")),
    "restarts": ("one node: fill, restart, read old revs", node.restarts),
    "domain": ("the domain with 100 000 instances: times and requests", _module("domain")),
    "mirrors": ("a mirror's reads; 1 000 mirrors of 10 000 keys on three nodes", _module("mirrors")),
    "crowd": (
        "10 000 connections with a watch each: memory of each, and one commit to all",
        _module("crowd"),
    ),
    "console": ("the console in Chromium: first paint, each step of a drag through time", _module("console")),
    "gateway": (
        "the registry over HTTP: requests, streams, and direct clients beside it",
        _module("gateway"),
    ),
    "client": ("the client library, blocking and asyncio, beside bare exchanges", _module("client")),
    "rights": ("a node whose rights are off beside one that judges every request", _module("rights")),
    "tls": ("the same bytes within TLS: a bare echo, a node, a node in clear; handshakes", _module("tls")),
}


def main() -> int:
    """Run what the command line names; return the exit code: 0, 1 when a benchmark failed, 2 for usage."""
    if sys.argv[1:2] == ["beside"]:
        return beside.main(sys.argv[2:])
    options = _options()
    if options.names == ["list"]:
        for name, (about, _) in BENCHMARKS.items():
            print(f"{name:<14}{about}")
        print(
            f"{'beside':<14}etcd, ZooKeeper, NATS and Valkey beside Visor, by turns; has options of its own"
        )
        return 0
    # A terminated run must still end its children: turn the signal into an exception.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    names = list(BENCHMARKS) if options.names == ["all"] else options.names
    machine = table.machine(options.data_dir)
    print(table.described(machine), table.heading(), sep="\n\n", flush=True)
    setting = Setting(options.seconds, options.quick, shlex.split(options.node), options.data_dir)
    rows: list[dict[str, Any]] = []
    with options.disturb.running() if options.disturb else contextlib.nullcontext():
        failed = [name for name in names if not _measure(name, setting, rows)]
    if options.json:
        options.json.write_text(json.dumps({"machine": machine, "rows": rows}, indent=1) + "\n")
    return 1 if failed else 0


def _measure(name: str, setting: Setting, rows: list[dict[str, Any]]) -> bool:
    """Run one benchmark, print its rows and keep them; tell whether it came to its end."""
    try:
        for row in _each(BENCHMARKS[name][1](setting)):
            print(table.line(row), flush=True)
            title, ops, seconds, extra = row
            rows.append(
                {"benchmark": name, "name": title, "ops": ops, "seconds": seconds, "rate": rate(row), **extra}
            )
    except Exception as error:  # one benchmark that fails must not hide what the others say
        print(f"{name}: FAILED: {type(error).__name__}: {error}", flush=True)
        return False
    return True


def _each(rows: Iterable[Row]) -> Iterator[Row]:
    for title, ops, seconds, extra in rows:
        yield title, ops, seconds, dict(extra)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "names", nargs="*", default=["all"], metavar="NAME", help="list, all, or names from list"
    )
    parser.add_argument("--quick", action="store_true", help="small and short: a smoke test, not figures")
    parser.add_argument("--seconds", type=float, help="length of one measurement [5, quick: 0.3]")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write everything measured to FILE")
    parser.add_argument(
        "--data-dir",
        type=Path,
        default=Path(tempfile.gettempdir()),
        metavar="DIR",
        help="on the disk to measure",
    )
    parser.add_argument(
        "--node", default="", metavar="COMMAND", help="how to start a node; {data} is its data directory"
    )
    parser.add_argument(
        "--disturb",
        type=Disturbance.parse,
        metavar="BUSY/EVERY[/fair]",
        help="take all processors for so many ms of every so many, see `benchmarks/disturbance.py`",
    )
    options = parser.parse_args()
    unknown = [name for name in options.names if name not in BENCHMARKS and name not in ("list", "all")]
    if unknown:
        parser.error(f"no benchmark is named {', '.join(unknown)}; see `python -m benchmarks list`")
    if options.seconds is None:
        options.seconds = 0.3 if options.quick else 5.0
    return options


if __name__ == "__main__":
    raise SystemExit(main())
