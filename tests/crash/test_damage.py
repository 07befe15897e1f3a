"""Cut and flipped files: a node starts with everything that was acknowledged, or refuses and names the file."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from random import Random

import pytest

from tests.crash.damage import (
    Damage,
    Sample,
    cuts_of_the_last_records,
    flips,
    gone,
    last_frame,
    make_sample,
    names,
    verdict,
)
from tests.node_process import run

pytestmark = pytest.mark.soak

SOAK = float(os.environ.get("VISOR_SOAK", "1"))
SEED = int(os.environ.get("VISOR_SEED", "1"))

SERVE = ("serve", "--bootstrap", "--peer-listen", "127.0.0.1:0", "--listen", "127.0.0.1:0", "--data-dir")


@pytest.fixture(scope="module")
def sample() -> Iterator[Sample]:
    """In memory where there is some: every case is a copy."""
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="visord-damage-", dir=memory if memory.is_dir() else None))
    yield make_sample(folder / "data")
    shutil.rmtree(folder)


def judge(sample: Sample, damages: Iterable[Damage]) -> list[str]:
    copy = sample.data.parent / "copy"
    return [verdict(sample, damage, copy) for damage in damages]


def test_an_undamaged_copy_starts_with_everything(sample: Sample) -> None:
    assert judge(sample, [Damage("identity", "nothing", lambda old: old)]) == ["started"]
    assert len(list((sample.data / "history").iterdir())) >= 2  # a base and commits
    assert not (sample.data / "log" / f"{1:020d}.log").exists()  # segments were used again


@pytest.mark.timeout(120 * max(1, SOAK))
def test_the_last_records_cut_at_every_byte(sample: Sample) -> None:
    outcomes = judge(sample, cuts_of_the_last_records(sample.data, Random(SEED)))
    assert len(outcomes) > 200
    # Every frame was acknowledged and the mark knows it: nothing of it may be taken for a torn tail.
    assert set(outcomes) == {"refused"}


@pytest.mark.timeout(120 * max(1, SOAK))
def test_flipped_bits_anywhere(sample: Sample) -> None:
    outcomes = judge(sample, flips(sample.data, Random(SEED), int(24 * SOAK)))
    assert outcomes.count("refused") > 100
    assert outcomes.count("started") > 10  # unused space, spares, one of two copies


def test_files_that_are_gone(sample: Sample) -> None:
    files = [name for name in names(sample.data) if name != "manifest"]
    outcomes = {name: judge(sample, [gone(name)])[0] for name in files}
    started = {name for name, outcome in outcomes.items() if outcome == "started"}
    written = last_frame(sample.data)[0]
    ahead = {name for name in files if name.endswith(".log") and name > written}
    spares = {name for name in files if name.startswith("log/spare-")}
    # Without its secret a lone member makes another one: nobody else has it. An audit begins anew, and shows it.
    audit = {name for name in files if name.startswith("audit/")}
    assert started == {"lock", "log/mark", "peers-secret"} | ahead | spares | audit


def test_a_manifest_that_is_gone_takes_nothing_with_it(sample: Sample, tmp_path: Path) -> None:
    """The start is refused, and what the manifest named is still there for a rescue, byte for byte."""
    data = tmp_path / "data"
    shutil.copytree(sample.data, data)
    (data / "manifest").unlink()
    result = run(*SERVE, str(data))
    assert result.returncode == 9, result.stderr
    history = [name for name in names(sample.data) if name.startswith("history/")]
    assert history
    for name in history:
        assert (data / name).read_bytes() == (sample.data / name).read_bytes()


@pytest.mark.parametrize("name", ["identity", "manifest", "history/", "log/vote", "log/0"])
def test_a_real_start_refuses_damage_with_9_and_so_does_check(
    sample: Sample, name: str, tmp_path: Path
) -> None:
    data = tmp_path / "data"
    shutil.copytree(sample.data, data)
    victim = data / next(found for found in names(data) if found.startswith(name))
    contents = bytearray(victim.read_bytes())
    for start in range(0, len(contents), 4096):  # both copies of the vote
        contents[start + 20] ^= 16
    victim.write_bytes(contents)
    for arguments in (["check", str(data)], [*SERVE, str(data)]):
        result = run(*arguments)
        assert result.returncode == 9, result.stderr
        assert str(victim) in result.stdout + result.stderr
        assert "Traceback" not in result.stderr
