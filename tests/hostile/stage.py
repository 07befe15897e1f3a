"""One scenario against one or three real members: the good client beside it, and what is judged.

    started -- prepared -- good client works -- baseline -- attack -- settled -- compared -- kill -9 of all -- compared

Judged are: the good client's longest wait and its failures; each member's memory during and after the attack; that
nobody stopped and nothing wrote a traceback; that all members have the same state before and after they were killed;
that no acknowledged write is gone.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import select
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from tests.cluster import ports
from tests.cluster.processes import Cluster, Member, Plan
from tests.cluster.verdict import await_equal
from tests.hostile.field import Field, fill
from tests.hostile.guarded import AUDIT_BYTES, BOSS, GOOD, Guard, audited, leaked
from tests.hostile.scenario import Scenario
from tests.node_process import NotReady, environment
from tests.wire import Closed, Refused, Wire
from visor.protocol import verbs
from visord.settings import StorageSettings

LIMIT_SECONDS: Final = 0.25
"""Longest wait of the good client on a quiet machine."""
GROWTH: Final = 1.2
"""Memory afterwards, beside that before."""
SETTLE_SECONDS: Final = 12.0
"""For memory to come back: connections time out, tables are trimmed."""
ALONE_SECONDS: Final = 1.5
"""For which the good client works alone, for comparison."""
SAMPLE_SECONDS: Final = 0.05
SECRET: Final = "a secret of thirty-two characters"
SETTINGS: Final = (
    "storage.log_segment_bytes=4194304",
    "storage.log_chunk_bytes=1048576",
    "storage.log_keep_bytes=4000000",
    "storage.history_segment_bytes=4194304",
    "storage.checkpoint_log_bytes=16000000",
    "storage.checkpoint_seconds=20",
    "cluster.hash_seconds=2",
    "log.level=info",
    "log.format=text",
)
MIB: Final = 1 << 20
SERIOUS: Final = re.compile(r"\b(ERROR|CRITICAL)\b")
HAS_QUOTA: Final = "state_bytes" in StorageSettings.model_fields


@dataclass
class Verdict:
    """What came of one scenario with so many members. Times in seconds, memory in MiB of the largest member."""

    scenario: str
    rows: str
    members: int
    alone: float = 0.0
    longest: float = 0.0
    stall: float = 0.0
    """The longest time for which this machine did not let the good client run: hardly any on a quiet one."""
    role: str = ""
    """Who of the good client waited longest."""
    before: int = 0
    during: int = 0
    after: int = 0
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    skipped: str = ""

    def line(self) -> str:
        """Return it as one line."""
        if self.skipped:
            return f"{self.scenario:<28} {self.members}  skipped: {self.skipped}"
        state = "ok  " if not self.problems else "FAIL"
        return (
            f"{self.scenario:<28} {self.members}  {state} wait {self.longest * 1000:6.0f} ms ({self.role}), "
            f"alone {self.alone * 1000:.0f} ms, stall {self.stall * 1000:.0f} ms; "
            f"MiB {self.before} -> {self.during} -> {self.after}"
            + (f"; {'; '.join(self.notes)}" if self.notes else "")
        )


class Beside:
    """The good client's process."""

    def __init__(self, addresses: list[str], guard: Guard) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.hostile.good", ",".join(addresses)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**environment(), **guard.environment()},
        )
        if self._line(60.0).strip() != "ready":
            self.close()
            raise NotReady("the good client did not begin")

    def ask(self, word: str, seconds: float = 90.0) -> dict[str, Any]:
        """`mark` or `end`."""
        assert self._process.stdin is not None
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()
        line = self._line(seconds)
        if not line:
            raise NotReady("the good client ended")
        told: dict[str, Any] = json.loads(line)
        return told

    def _line(self, seconds: float) -> str:
        assert self._process.stdout is not None
        if not select.select([self._process.stdout], [], [], seconds)[0]:
            raise NotReady(f"the good client said nothing within {seconds:g} s")
        return self._process.stdout.readline()

    def close(self) -> None:
        """End it. Idempotent."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()


class Sampler(threading.Thread):
    """Looks at the members' memory: `most` is the largest seen since `reset`, in MiB."""

    def __init__(self, members: list[Member]) -> None:
        super().__init__(name="sampler", daemon=True)
        self._members = members
        self._over = threading.Event()
        self.most = 0

    def run(self) -> None:
        while not self._over.wait(SAMPLE_SECONDS):
            self.most = max(self.most, resident(self._members))

    def stop(self) -> None:
        self._over.set()
        self.join()


def resident(members: list[Member]) -> int:
    """Return the memory of the largest member in MiB."""
    sizes = [0]
    for member in members:
        with contextlib.suppress(OSError):
            sizes.append(member.rss())
    return max(sizes) // MIB


def cluster_of(
    one: Scenario, folder: Path, members: int, plant: str | None, guard: Guard | None = None
) -> tuple[Cluster, str]:
    """Return a cluster for a scenario, not started, and the address of HTTP at its first member."""
    secret = folder / "secret"
    secret.write_text(SECRET + "\n")
    secret.chmod(0o600)
    extra = [*one.settings, *(guard.settings if guard else ()), f"peers.secret_file={secret}"]
    if one.tls:
        from tests.peers.authority import Authority

        authority = Authority(folder, "authority")
        certificate, key = authority.issue("member", "IP:127.0.0.1")
        key.chmod(0o600)
        extra += [
            f"peers.tls_cert={certificate}",
            f"peers.tls_key={key}",
            f"peers.tls_ca={authority.certificate}",
        ]
    plan = Plan(nodes=members, settings=SETTINGS, network="plain", extra=tuple(extra), plant=plant)
    cluster = Cluster(folder, plan)
    http = ""
    for number, member in enumerate(cluster.members.values()):
        if one.nofile:
            member._before = ["prlimit", f"--nofile={one.nofile}:{one.nofile}", "--", *member._before]
        if one.http and number == 0:
            http = ports.address()
            member._arguments += ["--set", f"listen.http={http}"]
    return cluster, http


def perform(one: Scenario, members: int, *, seconds: float = 0.0, seed: int = 1, slack: float = 1.0,
            plant: str | None = None) -> Verdict:  # fmt: skip
    """Run a scenario. `slack` widens what depends on how busy this machine is."""
    verdict = Verdict(one.name, one.rows, members)
    if one.quota and not HAS_QUOTA:
        verdict.skipped = "there is no setting storage.state_bytes"
        return verdict
    if one.tls and shutil.which("openssl") is None:
        verdict.skipped = "the openssl program makes the certificates"
        return verdict
    base = (
        "/dev/shm" if Path("/dev/shm").is_dir() else None
    )  # the disk of a busy machine is no client's fault
    with tempfile.TemporaryDirectory(prefix="visor-hostile-", dir=base, ignore_cleanup_errors=True) as folder:
        guard = Guard(Path(folder), closed=one.closed, secure=one.secure)
        cluster, http = cluster_of(one, Path(folder), members, plant, guard)
        with cluster:
            try:
                guard.enter()
                cluster.start()
                guard.close(cluster.addresses[0])
                guard.enter()
                _Stage(
                    one, cluster, http, verdict, Path(folder), seconds or one.seconds, seed, slack, guard
                ).play()
            except (NotReady, OSError, Refused, Closed, RuntimeError) as error:
                verdict.problems.append(f"{type(error).__name__}: {error!s:.1500}")
            finally:
                guard.leave()
                if verdict.problems:
                    verdict.problems += _said(cluster)
    return verdict


def surroundings(cluster: Cluster, field: Field) -> Field:
    """Fill in who leads, where everybody is, and what an attacker could know."""
    status = cluster.leader_status()
    if status is None:
        raise NotReady("nobody leads")
    first = sorted(cluster.members.values(), key=lambda member: member.name != status["node"])
    statuses = cluster.statuses()
    field.clients = [member.client for member in first]
    field.peers = [member.peer for member in first]
    field.members = [str(statuses[member.name]["member"]) for member in first if member.name in statuses]
    field.cluster, field.term, field.committed = status["cluster"], status["term"], status["committed"]
    return field


def compared(cluster: Cluster, when: str) -> list[str]:
    """Have all members come to the same place and compare their states; return what is wrong."""
    if await_equal(cluster, 20.0) is None:
        stood = {
            name: (one["rev"], one["applied"], one["committed"]) for name, one in cluster.statuses().items()
        }
        return [f"members do not come to the same place {when} (rev, applied, committed): {stood}"]
    address = next(iter(cluster.members.values())).direct
    try:
        with Wire(address, timeout=30.0) as wire:
            told = wire.call(verbs.ADMIN, "hash", [None])
    except (Refused, Closed, TimeoutError, OSError) as error:
        return [f"states were not compared {when}: {error!s:.200}"]
    return [] if told["equal"] is True else [f"states differ {when}: {told['digests']}"]


class _Stage:
    """One run, in its parts."""

    def __init__(self, one: Scenario, cluster: Cluster, http: str, verdict: Verdict, folder: Path, seconds: float,
                 seed: int, slack: float, guard: Guard) -> None:  # fmt: skip
        self._one = one
        self._guard = guard
        self._cluster = cluster
        self._verdict = verdict
        self._slack = slack
        self._members = list(cluster.members.values())
        self._field = Field(
            clients=[], secret=SECRET, http=http, seconds=seconds, seed=seed, folder=str(folder),
            tokens={user: text for user, text in guard.tokens.items() if user not in (BOSS, GOOD)},
            authority=guard.authority,
        )  # fmt: skip

    def play(self) -> None:
        surroundings(self._cluster, self._field)
        self._warm_up()
        self._run_attacker("prepare", 120.0)
        beside = Beside(self._field.clients, self._guard)
        sampler = Sampler(self._members)
        try:
            time.sleep(ALONE_SECONDS)
            alone = beside.ask("mark")
            self._verdict.before = resident(self._members)
            self._verdict.alone = max(alone[name]["longest"] for name in ("write", "read", "watch", "lock"))
            sampler.most = self._verdict.before
            sampler.start()
            self._run_attacker("attack", self._field.seconds + 60.0)
            self._judge_waits(beside.ask("mark"))
            self._settle(beside, sampler)
            told = beside.ask("end")
        finally:
            beside.close()
            if sampler.is_alive():
                sampler.stop()
        self._note_failures(told, "")
        self._judge_members(told["acknowledged"])

    def _warm_up(self) -> None:
        """Let buffers, arenas and tables reach the size that ordinary work gives them."""
        with Wire(self._field.clients[0]) as wire:
            for _ in range(3):
                fill(wire, (f"/warm/{number}" for number in range(2000)), b"w" * 500)
                wire.call(verbs.SCAN, [verbs.SEL_TREE, "/warm"])
            wire.call(verbs.DELETE, "/warm", True)
        wires = [Wire(address) for address in self._field.clients for _ in range(50)]
        for wire in wires:
            wire.close()

    def _run_attacker(self, part: str, patience: float) -> None:
        """Run the scenario's function in a process that gives way to all others."""
        if part == "prepare" and self._one.prepare is None:
            return
        given = {
            name: value for name, value in vars(self._field).items() if name in Field.__dataclass_fields__
        }
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.hostile.attacker", self._one.name, part],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
            preexec_fn=lambda: os.nice(5),  # noqa: PLW1509 - no threads that hold locks here
        )
        try:
            said, _ = process.communicate(json.dumps(given), timeout=patience)
        except subprocess.TimeoutExpired:
            self._verdict.notes.append(f"the attacker did not end within {patience:g} s")
            return
        finally:
            if process.poll() is None:
                process.kill()
                process.communicate()
        if process.returncode:
            self._verdict.problems.append(f"the attacker ended with {process.returncode} ({part})")
            return
        told = json.loads(said.splitlines()[-1])
        self._verdict.problems += told["problems"]
        self._verdict.notes += told["notes"]

    def _judge_waits(self, told: dict[str, Any]) -> None:
        verdict = self._verdict
        for name in ("write", "read", "watch", "lock"):
            if told[name]["longest"] >= verdict.longest:
                verdict.longest, verdict.role = told[name]["longest"], name
        self._note_failures(told, "")
        verdict.stall = told["stall"]
        limit = LIMIT_SECONDS * self._slack + verdict.stall
        if verdict.longest > limit:
            verdict.problems.append(
                f"the good client waited {verdict.longest * 1000:.0f} ms ({verdict.role}), the limit is "
                f"{limit * 1000:.0f} ms, with {verdict.stall * 1000:.0f} ms for which this machine was busy elsewhere"
            )

    def _settle(self, beside: Beside, sampler: Sampler) -> None:
        """Wait until memory has come back, as long as it may take."""
        verdict = self._verdict
        allowed = max(verdict.before * GROWTH, verdict.before + 8) + self._one.kept
        deadline = time.monotonic() + SETTLE_SECONDS
        while True:
            verdict.after = resident(self._members)
            if verdict.after <= allowed or time.monotonic() > deadline:
                break
            time.sleep(0.2)
        sampler.stop()
        verdict.during = sampler.most
        if verdict.after > allowed:
            verdict.problems.append(
                f"memory was {verdict.before} MiB before and {verdict.after} MiB {SETTLE_SECONDS:g} s after, "
                f"allowed are {allowed:.0f}"
            )
        if verdict.during > verdict.before + self._one.peak:
            verdict.problems.append(
                f"memory was {verdict.before} MiB before and {verdict.during} MiB during the attack, allowed are "
                f"{self._one.peak} more"
            )
        self._note_failures(beside.ask("mark"), ", afterwards")

    def _note_failures(self, told: dict[str, Any], when: str) -> None:
        """Take in what the good client saw fail, but for what the scenario says may happen to it."""
        failures = [text for text in told["failures"] if not any(word in text for word in self._one.by_right)]
        self._verdict.problems += [f"the good client{when}: {text}" for text in failures[:5]]

    def _judge_members(self, acknowledged: list[int]) -> None:
        """Compare members as they are, and after a kill -9 of all; look for what was acknowledged."""
        problems = self._verdict.problems
        problems += self._faults()
        problems += compared(self._cluster, "before the kill")
        for member in self._members:
            member.kill()
        for member in self._members:
            member.launch()
        for member in self._members:
            member.await_ready(60.0)
        problems += compared(self._cluster, "after the kill")
        for member in self._members:
            with contextlib.suppress(Refused, Closed), member.wire(20.0) as wire:
                missing = [n for n in acknowledged if wire.get(f"/good/w/{n}") != b"%d" % n]
                if missing:
                    problems.append(
                        f"{len(missing)} of {len(acknowledged)} acknowledged writes are gone at {member.name}, "
                        f"the first is {missing[0]}"
                    )
        problems += self._faults()
        for member in self._members:
            problems += [
                f"{member.name} wrote a traceback: {told}" for told in tracebacks(member.errors())[:3]
            ]

            problems += self._told(member)

    def _told(self, member: Member) -> list[str]:
        """Return what is wrong with what a member has written of who asked: a secret, too much, or nothing."""
        if not self._one.closed:
            return []
        said = leaked(member.data, member.errors(), self._guard.secrets())
        problems = [f"{member.name} has a token in {place}" for place in said[:3]]
        size, failed = audited(member.data)
        if size > AUDIT_BYTES:
            problems.append(f"the audit of {member.name} has {size} bytes")
        if self._one.audited and member.client == self._field.leader and not failed:
            problems.append(f"nothing of who was not let in stands in the audit of {member.name}")
        return problems

    def _faults(self) -> list[str]:
        """Members that ended by themselves, each with the end of what it said."""
        return [f"{fault[:60].splitlines()[0]} ... {fault[-300:]!r}" for fault in self._cluster.faults()]


def tracebacks(log: str) -> list[str]:
    """Return each kind of traceback in a log once: its last place in the code, and the error."""
    found = []
    for part in log.split("Traceback (most recent call last):")[1:]:
        lines = part.splitlines()
        ends = (place for place, line in enumerate(lines) if line and not line.startswith((" ", "\t")))
        end = next(ends, len(lines) - 1)
        places = [line.strip() for line in lines[:end] if line.startswith("  File ") and "visor" in line]
        found.append(f"{places[-1] if places else '?'}: {lines[end] if lines else ''}"[:300])
    return list(dict.fromkeys(found))


def _said(cluster: Cluster) -> list[str]:
    """Return the last errors in the logs of members that have had any."""
    found = []
    for member in cluster.members.values():
        with contextlib.suppress(ValueError, OSError):
            lines = [line for line in member.errors().splitlines() if SERIOUS.search(line)]
            if lines:
                found.append(f"{member.name} said at last: " + " | ".join(lines[-3:])[:600])
    return found
