"""`python -m benchmarks beside`: measure Visor and its peers by turns, keep the raw lines, show and write the tables.

python -m benchmarks beside                                   # a quarter of an hour; raw lines go to beside.jsonl
python -m benchmarks beside --only put:blocking,get --rounds 1 --seconds 1
python -m benchmarks beside --peers visor,etcd
python -m benchmarks beside --from beside.jsonl --page visor/docs/benchmarks.md   # the tables of that page anew
"""

from __future__ import annotations

import argparse
import contextlib
import shlex
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from benchmarks import table
from benchmarks.beside import load, needs, page, raw, shapes
from benchmarks.beside.load import Load
from benchmarks.beside.peers import BY_NAME, PEERS, VISOR, Peer, Places
from benchmarks.beside.raw import Run, Sitting
from benchmarks.beside.servers import Server
from benchmarks.beside.shapes import Shape
from benchmarks.process import ChildError, busy_seconds

PLACES = ("--raw", "--page", "--name", "--data-dir")
"""Options that say where something lies."""
LOOK = 0.3
"""Seconds for which it is looked whether others are busy."""


@dataclass(frozen=True, slots=True)
class Up:
    """A peer whose server runs and is filled."""

    peer: Peer
    server: Server


def main(words: Sequence[str]) -> int:
    """Run what the command line asks for; return the exit code: 0, 1 when a run failed, 2 for usage."""
    options = _options(words)
    if options.read is not None:
        _show(raw.load(options.read), options.page, options.name)
        return 0
    # A terminated run must still end its children: turn the signal into an exception.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    present = _present(options.peers)
    about = _about(present, options, words)
    runs: list[Run] = []
    with contextlib.ExitStack() as stack, options.raw.open("w", encoding="utf-8") as lines:

        def keep(text: str) -> None:
            print(text, file=lines, flush=True)

        keep(raw.head(about))
        up = [
            Up(peer, stack.enter_context(Server(peer, places, options.data_dir))) for peer, places in present
        ]
        failed = _fill(up)
        for run in _by_turns(up, options, failed):
            keep(raw.line(run))
            runs.append(run)
    _show(Sitting(about, tuple(runs)), options.page, options.name)
    for text in failed:
        print(f"FAILED: {text}", file=sys.stderr)
    return 1 if failed else 0


def _present(names: Sequence[str]) -> list[tuple[Peer, Places]]:
    """Return the peers that can be measured here, and say of the others what is missing."""
    present = []
    for name in names:
        peer = BY_NAME[name]
        places, missing = needs.found(peer.needs)
        if missing:
            print(needs.message(peer.title, missing), file=sys.stderr)
        else:
            present.append((peer, places))
    return present


def _fill(up: list[Up]) -> list[str]:
    failed: list[str] = []
    for each in list(up):
        try:
            load.run(Load(each.peer.name, "asyncio", "fill", 1, each.server.port, each.server.pid))
        except ChildError as error:
            up.remove(each)
            failed.append(f"{each.peer.title} could not be filled: {error}")
    return failed


def _by_turns(up: Sequence[Up], options: argparse.Namespace, failed: list[str]) -> Iterator[Run]:
    """Yield the runs: round after round over all shapes, so that no shape has a bad quarter of an hour for itself."""
    undisturbed = Counter[Shape]()
    for number in range(1, options.rounds + options.retries + 1):
        for shape in options.only:
            if number > options.rounds and undisturbed[shape] >= options.rounds:
                continue
            runs = list(_round(up, shape, number, options, failed))
            undisturbed[shape] += all(run.cpu_other <= raw.QUIET for run in runs)
            yield from runs


def _round(
    up: Sequence[Up], shape: Shape, number: int, options: argparse.Namespace, failed: list[str]
) -> Iterator[Run]:
    # Forth and back, so that a machine that becomes slower or faster does so for all.
    for each in up if number % 2 else reversed(up):
        if any(shapes.named(shape, word) for word in each.peer.without):
            continue
        wait_for_quiet(options.quiet)
        try:
            run = _run(each, shape, number, options)
        except ChildError as error:
            failed.append(f"{each.peer.title}, {shape.title}: {error}")
            continue
        mark = " *" if run.cpu_other > raw.QUIET else ""
        print(
            f"{number:>2}  {shape.title:<28} {each.peer.title:<10} {run.rate:>10,.0f}/s{mark}",
            file=sys.stderr,
        )
        yield run


def _run(each: Up, shape: Shape, number: int, options: argparse.Namespace) -> Run:
    asked = Load(
        each.peer.name,
        shape.client,
        shape.op,
        shape.in_flight,
        each.server.port,
        each.server.pid,
        options.seconds,
        min(0.5, options.seconds / 4),
        options.loop == "uvloop",
    )
    result = load.run(asked)
    rate = result["ops"] / result["seconds"]
    return Run(peer=each.peer.name, **shape._asdict(), round=number, rate=rate, **result)


def wait_for_quiet(
    seconds: float,
    busy: Callable[[], float] = busy_seconds,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> bool:
    """Wait up to so many seconds until others use less than `raw.QUIET` of a core; tell whether that came."""
    end = clock() + seconds
    while clock() < end:
        before = busy()
        sleep(LOOK)
        if (busy() - before) / LOOK < raw.QUIET:
            return True
    return False


def _about(
    present: Sequence[tuple[Peer, Places]], options: argparse.Namespace, words: Sequence[str]
) -> dict[str, Any]:
    machine = table.described(table.machine(options.data_dir)).rpartition("; load average")[0]
    return {
        "date": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": machine.replace("\n", ", "),
        "command": said(words),
        "loop": options.loop,
        "peers": {peer.name: _told(peer, places) for peer, places in present},
    }


def said(words: Sequence[str]) -> str:
    """Return the command as a page repeats it: without where its output went, which is nobody else's folder."""
    left, rest = [], iter(words)
    for word in rest:
        name, is_whole, _ = word.partition("=")
        if name not in PLACES:
            left.append(word)
        elif not is_whole:
            next(rest, None)
    return shlex.join(["python", "-m", "benchmarks", "beside", *left])


def _told(peer: Peer, places: Places) -> Mapping[str, Any]:
    return {
        "title": peer.title,
        "version": peer.version(places),
        "clients": {kind: _versioned(package) for kind, package in peer.clients.items()},
        "durability": peer.durability,
        "notes": peer.notes,
    }


def _versioned(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:  # ours: it is the server's version
        return package


def _show(sitting: Sitting, where: Path | None, name: str) -> None:
    text = page.body(sitting)
    print(text)
    if where is not None:
        where.write_text(page.between(where.read_text(), name, text))


def _options(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks beside",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--seconds", type=float, default=2.0, help="length of one run [2]")
    add("--rounds", type=int, default=3, help="runs of each figure, by turns [3]")
    add(
        "--only",
        type=_shapes,
        default=_shapes(""),
        metavar="SHAPES",
        help="put, put:blocking, put:asyncio:64, ...",
    )
    add(
        "--peers",
        type=_peers,
        default=[peer.name for peer in PEERS],
        metavar="NAMES",
        help="visor is always there",
    )
    add(
        "--loop",
        choices=("asyncio", "uvloop"),
        default="asyncio",
        help="what asyncio clients run on [asyncio]",
    )
    add("--retries", type=int, default=0, help="further rounds, at most, of what others disturbed [0]")
    add(
        "--quiet",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="wait so long at most for others to rest before each run [0]",
    )
    add(
        "--data-dir",
        type=Path,
        default=Path(tempfile.gettempdir()),
        metavar="DIR",
        help="on the disk to measure",
    )
    add(
        "--raw",
        type=Path,
        default=Path("beside.jsonl"),
        metavar="FILE",
        help="where raw lines go [beside.jsonl]",
    )
    add("--from", type=Path, dest="read", metavar="FILE", help="measure nothing: show what FILE holds")
    add("--page", type=Path, metavar="FILE", help="also write the tables between the page's marks")
    add("--name", default="beside", metavar="NAME", help="of the marks on the page [beside]")
    return parser.parse_args(words)


def _shapes(text: str) -> list[Shape]:
    try:
        return shapes.chosen(word for word in text.split(",") if word)
    except shapes.NoSuchShapeError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _peers(text: str) -> list[str]:
    names = [word for word in text.split(",") if word]
    if unknown := [name for name in names if name not in BY_NAME]:
        raise argparse.ArgumentTypeError(
            f"no peer is named {', '.join(unknown)}; there are {', '.join(BY_NAME)}"
        )
    return list(dict.fromkeys([VISOR.name, *names]))
