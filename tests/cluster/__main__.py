"""Real processes under faults. `python -m tests.cluster nemesis --nodes 3 --seconds 600 --seed 1`; others: see -h."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import random
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from tests.cluster.absence import Phases, absence, fill, joining, same_everywhere
from tests.cluster.failover import held_terms, killed, stopped, transferred
from tests.cluster.journal import Journal
from tests.cluster.load import Writers
from tests.cluster.nemesis import Nemesis
from tests.cluster.processes import Cluster, Plan
from tests.cluster.run import NEW_LOOP, Load, report, run
from tests.small_disk import can_mount

DISK_BYTES = 1 << 30
GAP_SECONDS = 0.8
"""Longer times without an acknowledged write are told."""


@contextlib.contextmanager
def kept_logs(cluster: Cluster) -> Iterator[None]:
    """Write what the members said into the folder when the block is left."""
    try:
        yield
    finally:
        for member in cluster.members.values():
            (cluster.folder / f"{member.name}.log").write_text(member.errors())


def nemesis(options: argparse.Namespace, folder: Path) -> bool:
    """Disturb a cluster under load for a while, and judge what its clients were told."""
    reason = can_mount(folder)
    if reason:
        print(f"no full disks: {reason}", flush=True)
    plan = Plan(
        nodes=options.nodes,
        extra=tuple(options.set),
        disk_bytes=0 if reason else DISK_BYTES,
        plant=options.plant,
        network=options.network,
    )
    load = Load(workers=options.workers, rate=options.rate)
    adversary = Nemesis(options.seed, [name for name in options.without.split(",") if name])
    with Cluster(folder, plan) as cluster, kept_logs(cluster):
        cluster.start()
        outcome = run(cluster, options.seed, options.seconds, load, adversary.disturb)
        print(report(outcome))
        recoveries = sorted(adversary.recoveries)
        if recoveries:
            middle = recoveries[len(recoveries) // 2]
            print(f"{len(recoveries)} recoveries: median {middle:.2f} s, worst {recoveries[-1]:.2f} s")
        events = told(outcome.journal)
        (folder / "events.txt").write_text("\n".join(events))
        if options.events or not outcome.passed:
            print("\n".join(events))
        return outcome.passed


def told(journal: Journal) -> list[str]:
    """Return what was done and how writes fared, with the seconds of the run and the time of day of members' logs."""
    ahead = time.time() - time.monotonic()
    lines = []
    fared = [
        (began, f"no write is acknowledged for {seconds:.2f} s")
        for began, seconds in journal.gaps(GAP_SECONDS)
    ]
    fared += [(when, f"a majority is {'' if yes else 'not '}undisturbed") for when, yes in journal.chances]
    for moment, text in sorted(journal.events + fared):
        clock = datetime.fromtimestamp(moment + ahead).strftime("%H:%M:%S.%f")[:-3]
        lines.append(f"{journal.since(moment):9.2f}  {clock}  {text}")
    return lines


def failover(options: argparse.Namespace, folder: Path) -> bool:
    """Kill, stop and disturb the leader under load; measure how long one client's writes wait."""
    with Cluster(folder, plain(options)) as cluster, kept_logs(cluster):
        cluster.start()
        with asyncio.Runner(loop_factory=NEW_LOOP) as runner:
            return runner.run(_failover(cluster, options))


async def _failover(cluster: Cluster, options: argparse.Namespace) -> bool:
    writers = Writers(cluster.addresses, options.clients, pause=options.pause)
    await writers.start()
    began = time.monotonic()
    await asyncio.sleep(3.0)
    print(
        f"{writers.series.rate(began, time.monotonic()):.0f} writes/s by {options.clients} clients",
        flush=True,
    )
    kills = await killed(cluster, writers, options.kills)
    print(kills.line("leader killed"), flush=True)
    stops = await stopped(cluster, writers, options.stops)
    print(stops.line("leader stopped"), flush=True)
    transfers = await transferred(cluster, writers, options.stops)
    print(transfers.line("leadership handed on (longest pause around it)"), flush=True)
    first, last = await held_terms(cluster, options.burn, 2)
    print(f"{options.burn:g} s with both processors in use: term {first} to {last}")
    await writers.stop()
    times = sorted(kills.all)
    return first == last and times[len(times) // 2] < 1.0 and times[-1] < 2.0 and not cluster.faults()


def away(options: argparse.Namespace, folder: Path) -> bool:
    """Take a replica away under load and let it come back; measure what the others lose."""
    with Cluster(folder, plain(options)) as cluster, kept_logs(cluster):
        cluster.start()
        with asyncio.Runner(loop_factory=NEW_LOOP) as runner:
            phases = runner.run(
                _loaded(cluster, options, lambda w: absence(cluster, w, options.seconds, options.calm))
            )
        return _judged(cluster, phases, "catching up")


def join(options: argparse.Namespace, folder: Path) -> bool:
    """Let a new member join a large registry under load; measure what the others lose."""
    with Cluster(folder, plain(options)) as cluster, kept_logs(cluster):
        cluster.start()
        with asyncio.Runner(loop_factory=NEW_LOOP) as runner:
            took = runner.run(fill(cluster, options.keys, options.size))
            print(f"{options.keys} keys of {options.size} bytes in {took:.0f} s", flush=True)
            phases = runner.run(_loaded(cluster, options, lambda w: joining(cluster, w, options.calm)))
        for member in cluster.members.values():
            print(f"{member.name}: {member.rss() / 1e6:.0f} MB resident")
        return _judged(cluster, phases, "joining")


async def _loaded(
    cluster: Cluster, options: argparse.Namespace, work: Callable[[Writers], Coroutine[Any, Any, Phases]]
) -> Phases:
    writers = Writers(cluster.addresses, options.clients, pause=options.pause)
    await writers.start()
    await asyncio.sleep(2.0)
    phases = await work(writers)
    await writers.stop()
    return phases


def _judged(cluster: Cluster, phases: Phases, name: str) -> bool:
    for line in phases.lines():
        print(line)
    share = phases.rate(name) / phases.rate("before")
    print(f"{name}: {share * 100:.0f} % of the writes of before")
    faults = cluster.faults()
    for fault in faults:
        print(fault)
    return same_everywhere(cluster, print) and share >= 0.8 and not faults


def plain(options: argparse.Namespace) -> Plan:
    """Members as an operator would have them, without a proxy."""
    settings = ("log.level=info", "log.format=text", *options.set)
    return Plan(nodes=options.nodes, settings=settings, network="plain")


def main() -> int:
    """Run a command; 1 when something was broken."""
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    commands = parser.add_subparsers(required=True)
    one = _command(commands, "nemesis", nemesis)
    one.add_argument("--seconds", type=float, default=600.0)
    one.add_argument("--workers", type=int, default=9)
    one.add_argument("--rate", type=float, default=600.0, help="operations a second that are aimed at")
    one.add_argument(
        "--without", default="", metavar="FAULT,...", help="leave these out: kill_all, full_disk ..."
    )
    one.add_argument("--network", choices=("proxy", "namespaces"), default="proxy", help="how links are cut")
    one.add_argument(
        "--plant", default=None, help="a bug for all members, to see it found: no-round, half-commit ..."
    )
    one.add_argument("--events", action="store_true", help="print what was done also when all was well")
    two = _command(commands, "failover", failover)
    two.add_argument("--kills", type=int, default=20)
    two.add_argument("--stops", type=int, default=10)
    two.add_argument("--burn", type=float, default=60.0, help="seconds with both processors in use")
    two.add_argument("--clients", type=int, default=16)
    two.add_argument("--pause", type=float, default=0.005, help="seconds between two writes of one client")
    three = _command(commands, "absence", away)
    three.add_argument("--seconds", type=float, default=600.0, help="how long it is away")
    four = _command(commands, "join", join)
    four.add_argument("--keys", type=int, default=1_000_000)
    four.add_argument("--size", type=int, default=100, help="bytes of a value")
    for one in (three, four):
        one.add_argument("--calm", type=float, default=30.0, help="seconds of load before and after")
        one.add_argument("--clients", type=int, default=16)
        one.add_argument("--pause", type=float, default=0.01, help="seconds between two writes of one client")
    options = parser.parse_args()
    folder = options.data_dir or Path(tempfile.mkdtemp(prefix="visord-cluster-"))
    print(f"seed {options.seed}, data in {folder}", flush=True)
    passed: bool = options.command(options, folder)
    if passed and options.data_dir is None and not options.keep:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        print(f"the data is kept in {folder}")
    return 0 if passed else 1


def _command(
    commands: argparse._SubParsersAction[argparse.ArgumentParser],
    name: str,
    run: Callable[[argparse.Namespace, Path], bool],
) -> argparse.ArgumentParser:
    parser = commands.add_parser(name, help=run.__doc__, description=run.__doc__)
    parser.set_defaults(command=run)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--nodes", type=int, default=3)
    parser.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of the members"
    )
    parser.add_argument(
        "--keep", action="store_true", help="keep the data and what members said also when all was well"
    )
    parser.add_argument("--data-dir", type=Path, default=None, help="where to keep the data [temporary]")
    return parser


if __name__ == "__main__":
    sys.exit(main())
