"""Real members under faults, judged; and what the nemesis has found once. The long runs: `python -m tests.cluster`."""

from __future__ import annotations

import asyncio
import os
import time
from pathlib import Path

import pytest

import visor
from tests.checkers.history import OK, Violation
from tests.cluster.failover import killed
from tests.cluster.load import Writers
from tests.cluster.nemesis import Nemesis
from tests.cluster.processes import Cluster, Plan
from tests.cluster.run import NEW_LOOP, Load, Outcome, report, run
from tests.cluster.verdict import judge
from tests.patience import PATIENCE
from tests.wire import Refused

pytestmark = pytest.mark.soak

SOAK = float(os.environ.get("VISOR_SOAK", "1"))
PLAIN = (
    "log.level=info",
    "log.format=text",
    "storage.log_segment_bytes=4194304",
    "storage.log_chunk_bytes=262144",
)


def disturbed(folder: Path, nodes: int, seed: int, seconds: float) -> Outcome:
    adversary = Nemesis(seed, without=("replace", "visit") if seconds < 30 else ())
    with Cluster(folder, Plan(nodes=nodes)) as cluster:
        cluster.start()
        return run(cluster, seed, seconds, Load(rate=300.0), adversary.disturb)


@pytest.mark.timeout(120 + 60 * SOAK)
def test_nothing_is_broken_while_everything_goes_wrong(tmp_path: Path) -> None:
    outcome = disturbed(tmp_path, 3, 7, 14.0 * SOAK)
    assert outcome.passed, report(outcome)
    assert sum(what == OK for _, what in outcome.journal.outcomes) >= 10, report(outcome)
    assert_that_the_verdict_means_something(outcome)


def assert_that_the_verdict_means_something(outcome: Outcome) -> None:
    """Tell the judge of one write more, and of one less, than there was."""
    history = outcome.journal.history
    victim = next(
        one for one in history.operations if one.write is not None and one.outcome == OK and one.write.then
    )
    rev, victim.rev = victim.rev, history.last_rev() + 1
    assert "survival" in properties(judge(outcome.journal))
    victim.rev = rev
    commit = history.commits.pop(len(history.commits) // 2)
    assert properties(judge(outcome.journal)) & {"survival", "commits", "watch promises", "reads"}
    history.commits.insert(commit[0] - 1, commit)
    assert not judge(outcome.journal)


def properties(violations: list[Violation]) -> set[str]:
    return {violation.property for violation in violations}


def test_a_member_that_was_without_leader_takes_writes_again(tmp_path: Path) -> None:
    with Cluster(tmp_path, Plan(network="plain")) as cluster:
        cluster.start()
        alone, *others = cluster.members.values()
        for member in others:
            member.kill()
        with alone.wire() as wire:
            deadline = time.monotonic() + PATIENCE
            while (began := time.monotonic()) < deadline:
                with pytest.raises(Refused, match=r"no_quorum|lost_leadership"):
                    wire.set("/a", b"1")
                if time.monotonic() - began < 0.1:
                    break  # it is refused at once by now
            else:
                pytest.fail("a write never failed promptly")
            for member in others:
                member.launch()
            for member in others:
                member.await_ready()
            with visor.dial(alone.direct, timeout=5.0) as client:
                assert until_written(client, PATIENCE)


def until_written(client: visor.Client[bytes], seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            client.set("/a", b"2")
        except visor.Unavailable:
            time.sleep(0.05)
        else:
            return True
    return False


@pytest.mark.timeout(120)
def test_the_same_client_writes_again_soon_after_its_leader_was_killed(tmp_path: Path) -> None:
    async def measure(cluster: Cluster) -> list[float]:
        writers = Writers(cluster.addresses, 4, pause=0.01)
        await writers.start()
        found = await killed(cluster, writers, 3)
        await writers.stop()
        return found.all

    with Cluster(tmp_path, Plan(settings=PLAIN, network="plain")) as cluster:
        cluster.start()
        with asyncio.Runner(loop_factory=NEW_LOOP) as runner:
            took = runner.run(measure(cluster))
        assert len(took) == 3
        assert min(took) < 1.0, took  # the machine may stand still, but not each time
        assert cluster.faults() == []
