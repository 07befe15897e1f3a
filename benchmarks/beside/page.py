"""A sitting as Markdown: where Visor loses first. The terminal shows the same as the page."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from benchmarks.beside import ranking
from benchmarks.beside.ranking import Pair
from benchmarks.beside.raw import OURS, QUIET, Run, Sitting
from benchmarks.beside.shapes import OPS, Shape

REGISTRIES = ("etcd", "zookeeper", "nats")
"""Peers that promise something like what Visor promises; Valkey shows what one thread can do without it."""
WORDS = ("", "beside", "behind in", "asked by", "version", "an answered write is safe by")
"""Titles of columns that are no figures."""


def body(sitting: Sitting) -> str:
    """Return all tables of a sitting."""
    parts = [
        *_warning(sitting),
        "### Where Visor loses",
        _losses(sitting, ranking.losses(ranking.pairs(sitting))),
        "### How many times as fast",
        _ratios(sitting),
        "### Every figure",
        _all(sitting),
        "### What was measured",
        _about(sitting),
    ]
    return "\n\n".join(parts) + "\n"


def _warning(sitting: Sitting) -> Iterator[str]:
    """Yield what has to be known before the figures: how much of them others disturbed."""
    disturbed = [shape for shape in sitting.shapes if sitting.rounds(shape)[1]]
    if disturbed:
        cores = statistics.median(run.cpu_other for run in sitting.runs if run.shape in disturbed)
        yield (
            f"**Disturbed**: of {len(sitting.shapes)} loads {len(disturbed)} had no quiet round (`*`); other "
            f"processes used {cores:.1f} cores meanwhile. Rates, and p99 above all, say as much of them as of the "
            "systems, most of all where one request waits for the next; processor time for an operation is the "
            "steadier figure."
        )


def _losses(sitting: Sitting, losses: Sequence[Pair]) -> str:
    if not losses:
        return "Nowhere in this sitting: no rate is lower, no p99 higher, no operation costs more processor time."
    titles = (
        "",
        "beside",
        "behind in",
        "rate, ours : theirs",
        "p99, ours : theirs",
        "server + client CPU, ours : theirs",
    )
    return _table(
        titles,
        (
            (
                pair.shape.title,
                _title(sitting, pair.theirs.peer),
                ", ".join(f"**{what}**" if what == "rate" else what for what in pair.lost),
                f"{_count(pair.ours.rate)} : {_count(pair.theirs.rate)} = {pair.rate:.2f}",
                f"{_time(pair.ours.p99_us)} : {_time(pair.theirs.p99_us)} = {pair.p99:.2f}",
                f"{_cpu(pair.ours)} : {_cpu(pair.theirs)} = {pair.cpu:.2f}",
            )
            for pair in losses
        ),
    )


def _ratios(sitting: Sitting) -> str:
    """Return our rate divided by theirs, the lowest first, and divided by that of the fastest registry."""
    peers = [peer for peer in sitting.peers if peer != OURS]
    rows = []
    for shape in sitting.shapes:
        found = {pair.theirs.peer: pair.rate for pair in ranking.pairs(sitting) if pair.shape == shape}
        if not found:
            continue
        registries = [rate for peer, rate in found.items() if peer in REGISTRIES]
        last = f"{min(registries):.2f}" if registries else ""
        rows.append((min(found.values()), (shape.title, *(_ratio(found.get(peer)) for peer in peers), last)))
    several = ", ".join(_title(sitting, peer) for peer in REGISTRIES if peer in peers)
    titles = ("", *(_title(sitting, peer) for peer in peers), f"the fastest of {several}")
    return _table(titles, [row for _, row in sorted(rows, key=lambda each: each[0])])


def _ratio(rate: float | None) -> str:
    if rate is None:
        return ""
    return f"**{rate:.2f}**" if rate < 1 else f"{rate:.2f}"


def _all(sitting: Sitting) -> str:
    def rows() -> Iterator[Sequence[str]]:
        for shape in sitting.shapes:
            for peer in sitting.peers:
                if (run := sitting.median(shape, peer)) is not None:
                    yield _row(sitting, shape, run)

    return _table(
        ("", "", "ops/s", "p50", "p99", "server CPU/op", "client CPU/op", "memory", "rounds"), rows()
    )


def _row(sitting: Sitting, shape: Shape, run: Run) -> Sequence[str]:
    counted, disturbed = sitting.rounds(shape)
    return (
        shape.title if run.peer == OURS else "",
        _title(sitting, run.peer),
        _count(run.rate),
        _time(run.p50_us),
        _time(run.p99_us),
        _time(run.cpu_server_us),
        _time(run.cpu_client_us),
        f"{run.rss_mb:.0f} MB" if run.rss_mb else "",
        f"{len(counted)} *" if disturbed else str(len(counted)),
    )


def _about(sitting: Sitting) -> str:
    about = sitting.about
    peers: Mapping[str, Mapping[str, Any]] = about.get("peers", {})
    lines = [
        f"{about['date']}, `{about['command']}`, {about.get('nodes', 'one node of each')}, all on 127.0.0.1 of one "
        f"machine: {about['machine']}. All servers are up all the time and take turns. Each figure is the median of "
        f"the rounds in which other processes used at most {QUIET:g} of a core during each run; where there was no "
        "such round (`*`), of the quieter half of all rounds, the same ones for all peers.",
        _table(
            ("", "version", "asked by", "an answered write is safe by"),
            (
                (
                    peer["title"],
                    peer["version"],
                    ", ".join(dict.fromkeys(peer["clients"].values())),
                    peer["durability"],
                )
                for peer in peers.values()
            ),
        ),
    ]
    notes = [f"- {peer['title']}, {note}" for peer in peers.values() for note in peer.get("notes", ())]
    if notes:
        lines.append("\n".join(notes))
    words = [
        f"- `{op}`: {OPS[op]}" for op in dict.fromkeys(shape.op for shape in sitting.shapes) if op in OPS
    ]
    return "\n\n".join([*lines, "\n".join(words)])


def between(page: str, name: str, text: str) -> str:
    """Return the page with the text in the place of what stands between the two marks of that name.

    ValueError when the page has not both marks, once each.
    """
    begin, end = marks(name)
    if page.count(begin) != 1 or page.count(end) != 1 or page.index(begin) > page.index(end):
        raise ValueError(f"the page needs the lines {begin} and {end}, once each and in this order")
    before, _, rest = page.partition(begin)
    _, _, after = rest.partition(end)
    return f"{before}{begin}\n\n{text.strip()}\n\n{end}{after}"


def marks(name: str) -> tuple[str, str]:
    return f"<!-- {name}: begin -->", f"<!-- {name}: end -->"


def _title(sitting: Sitting, peer: str) -> str:
    title: str = sitting.about.get("peers", {}).get(peer, {}).get("title", peer)
    return title


def _table(titles: Iterable[str], rows: Iterable[Sequence[str]]) -> str:
    heads = list(titles)
    lines = [heads, ["---", *("---" if title in WORDS else "---:" for title in heads[1:])], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _cpu(run: Run) -> str:
    return f"{_time(run.cpu_server_us)} + {_time(run.cpu_client_us)}"


def _count(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.1f}"


def _time(microseconds: float) -> str:
    if microseconds < 1000:
        return f"{microseconds:.3g} µs" if microseconds < 100 else f"{microseconds:.0f} µs"
    return f"{microseconds / 1000:.3g} ms" if microseconds < 100_000 else f"{microseconds / 1000:.0f} ms"
