"""A real node under attack, a well-behaved client beside, and what must hold meanwhile.

- The client's sets and gets are right, and none takes longer than `PATIENCE` seconds.
- The node's memory does not grow after the warm-up, its descriptors are given back.
- Nothing but messages of the protocol leaves it, and nothing but alarms its stderr.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.node_process import NodeProcess, environment
from tests.wire import Refused, Wire, new_session
from visor.protocol import verbs

SETTINGS = (
    "storage.log_segment_bytes=4194304",
    "storage.log_chunk_bytes=262144",
    "storage.log_keep_bytes=1000000",
    "storage.history_segment_bytes=1048576",
    "storage.checkpoint_log_bytes=4000000",
    "log.level=warning",
)
KEEP_REVS = 500
"""What memory holds of history must not grow: it is trimmed on the way."""
ATTACKERS = 2
PATIENCE = 3.0
WARM_UP = 0.4
"""Of the whole time: buffers, sessions and the kept history have reached their size by then."""
GROWTH = 48 << 20
"""Bytes that memory may differ by after the warm-up: a few large answers at once are no leak."""


@dataclass
class Outcome:
    """What happened. `problems` is empty when everything held."""

    problems: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    rss: list[tuple[float, int]] = field(default_factory=list)
    """(seconds since the start, bytes)."""

    def report(self) -> str:
        slow = sorted(self.latencies)
        lines = [f"{len(slow)} rounds of the well-behaved client, p50 {slow[len(slow) // 2] * 1e3:.1f} ms, "
                 f"p99 {slow[len(slow) * 99 // 100] * 1e3:.1f} ms, longest {slow[-1] * 1e3:.0f} ms"]  # fmt: skip
        steps = self.rss[:: max(1, len(self.rss) // 12)]
        lines.append("memory in MiB: " + " ".join(f"{size >> 20}" for _, size in steps))
        lines += [f"  {name}: {count}" for name, count in sorted(self.counts.items())]
        return "\n".join(lines)


def besiege(data: Path, seconds: float, seed: int) -> Outcome:
    """Attack a new node for so long."""
    outcome = Outcome()
    with NodeProcess(data, settings=SETTINGS) as node:
        files = node.open_files()
        attackers = [_attack(node.address, seed * 1000 + number, seconds) for number in range(ATTACKERS)]
        try:
            _behave(node, seconds, outcome)
        finally:
            for attacker in attackers:
                _collect(attacker, outcome)
        _check_memory(outcome, seconds)
        _check_end(node, files, outcome)
    return outcome


def _attack(address: str, seed: int, seconds: float) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "tests.fuzz.attack", address, str(seed), str(seconds)],
        stdout=subprocess.PIPE,
        text=True,
        env=environment(),
    )


def _collect(attacker: subprocess.Popen[str], outcome: Outcome) -> None:
    try:
        said, _ = attacker.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        attacker.kill()
        attacker.communicate()
        outcome.problems.append("an attacker did not end")
        return
    if attacker.returncode:
        outcome.problems.append(f"an attacker ended with {attacker.returncode}")
        return
    told = json.loads(said)
    outcome.counts.update(told["counts"])
    outcome.problems += told["problems"]


def _behave(node: NodeProcess, seconds: float, outcome: Outcome) -> None:
    """Set, get and watch as a program does; look at the node's memory meanwhile."""
    started = time.monotonic()
    next_look = 0.0
    number = 0
    with Wire(node.address, session=new_session()) as wire:
        watch = wire.ask(verbs.WATCH, [verbs.SEL_PATH, "/probe/x"])
        wire.answer(watch)
        while (now := time.monotonic() - started) < seconds:
            number += 1
            value = b"%d" % number
            begun = time.monotonic()
            rev = wire.set("/probe/x", value)
            got = wire.call(verbs.GET, "/probe/x")[1]
            told = _await_commit(wire, rev)
            outcome.latencies.append(time.monotonic() - begun)
            if (got is None or got[:2] != [rev, value]) and not _meddled(wire, rev):
                outcome.problems.append(f"set {value!r} at {rev}, got {got}")
            if told is None or told[2] != "tester" or told[4][0][2][:2] != [rev, value]:
                outcome.problems.append(f"set at {rev}, the watch told {told!r:.200}")
            wire.send([verbs.CREDIT, watch, 1 << 20])
            if outcome.latencies[-1] > PATIENCE:
                outcome.problems.append(f"a round took {outcome.latencies[-1]:.1f} s")
            if now >= next_look:
                next_look = now + seconds / 200
                outcome.rss.append((now, node.rss()))
                _tidy(wire, rev)
            time.sleep(0.002)


def _await_commit(wire: Wire, rev: int) -> list[Any] | None:
    """Read what the watch tells until the commit `rev`. A mutated delete may have hit the probe's file before."""
    while True:
        message = wire.push(timeout=PATIENCE)
        for commit in message[2] if message[0] == verbs.COMMITS else []:
            if commit[0] >= rev:
                return commit if commit[0] == rev else None


def _meddled(wire: Wire, rev: int) -> bool:
    """Tell whether an attacker has changed the probe's file after `rev`: he is allowed to."""
    commits = wire.call(verbs.LOG, [verbs.SEL_PATH, "/probe/x"], rev + 1)[1]
    return any(commit[2] != "tester" for commit in commits)


def _tidy(wire: Wire, rev: int) -> None:
    """Keep what the attackers write within bounds: it is no leak, but it grows."""
    wire.call(verbs.RETAIN, None, None, max(0, rev - KEEP_REVS))
    names = [row[0] for row in wire.call(verbs.LIST, "/")[1]]
    for name in names:
        if name != "probe":
            request = wire.ask(verbs.DELETE, f"/{name}", True)
            with contextlib.suppress(Refused):  # somebody else was faster
                wire.answer(request)


def _check_memory(outcome: Outcome, seconds: float) -> None:
    """The least of the last tenth against the most of the warm-up's end: peaks come and go, a leak stays."""
    warm = [size for at, size in outcome.rss if WARM_UP * seconds - seconds / 10 <= at <= WARM_UP * seconds]
    last = [size for at, size in outcome.rss if at >= seconds * 0.9]
    if min(last) > max(warm) + GROWTH:
        outcome.problems.append(f"memory grew from {max(warm) >> 20} to {min(last) >> 20} MiB")


def _check_end(node: NodeProcess, files: int, outcome: Outcome) -> None:
    deadline = time.monotonic() + 15
    while node.open_files() > files + 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    if node.open_files() > files + 2:
        outcome.problems.append(f"{node.open_files()} open files, {files} before")
    if not node.running():
        outcome.problems.append("the node has ended")
    elif (code := node.stop()) != 0:
        outcome.problems.append(f"the node ended with {code}")
    # Whatever begins as TLS does is told: so does, now and then, what is no message at all.
    wrote = "".join(line for line in node.complaints().splitlines(keepends=True) if "visord.tls" not in line)
    if wrote:
        outcome.problems.append(f"the node wrote: {wrote[:3000]}")
