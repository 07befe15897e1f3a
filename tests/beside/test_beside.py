"""`python -m benchmarks beside`: what it says of figures, of what is missing, and what its load asks. No speeds."""

from __future__ import annotations

import asyncio
import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.beside import command, load, needs, page, ranking, raw, shapes
from benchmarks.beside.load import Load, Plan, WrongError
from benchmarks.beside.peers import BY_NAME, PEERS, Peer
from benchmarks.beside.raw import Run, Sitting
from benchmarks.beside.servers import Server
from benchmarks.beside.shapes import NoSuchShapeError, Shape
from benchmarks.process import ChildError
from benchmarks.workload import Workload, key
from visord import embed

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "visor" / "docs" / "benchmarks.md"
MEASURED = ROOT / "benchmarks" / "measured"


def run(peer: str, rate: float = 100.0, *, op: str = "put", round: int = 1, **other: Any) -> Run:
    figures = {"p50_us": 10.0, "p99_us": 20.0, "cpu_server_us": 5.0, "cpu_client_us": 5.0, "cpu_other": 0.0}
    return Run(peer, op, "asyncio", 64, round, rate, **{**figures, **other})


def sitting(*runs: Run) -> Sitting:
    told = {
        peer.name: {
            "title": peer.title,
            "version": "1.2.3",
            "clients": dict(peer.clients),
            "durability": peer.durability,
            "notes": list(peer.notes),
        }
        for peer in PEERS
    }
    about = {"date": "2026-11-30", "machine": "a machine", "command": "a command", "peers": told}
    return Sitting(about, runs)


def sections(text: str) -> list[str]:
    return [line.removeprefix("### ") for line in text.splitlines() if line.startswith("### ")]


def rows(text: str, section: str) -> list[list[str]]:
    """Return the cells of the first table below the heading, without its two heads."""
    below = text.partition(f"### {section}\n")[2].partition("\n### ")[0]
    lines = [line for line in below.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


# -- what is measured -------------------------------------------------------------------------------------


def test_words_choose_shapes_by_their_beginnings() -> None:
    assert shapes.chosen([]) == list(shapes.SHAPES)
    assert shapes.chosen(["put:blocking"]) == [Shape("put", "blocking", 1)]
    assert {shape.op for shape in shapes.chosen(["put", "range"])} == {"put", "range"}
    assert shapes.chosen(["get:asyncio:64"]) == [Shape("get", "asyncio", 64)]


@pytest.mark.parametrize("word", ["pu", "put:threads", "get:asyncio:6"])
def test_a_word_that_chooses_nothing_is_refused_with_what_there_is(word: str) -> None:
    with pytest.raises(NoSuchShapeError) as caught:
        shapes.chosen(["get", word])
    assert repr(word) in str(caught.value)
    assert "put:asyncio:64" in str(caught.value)


def test_what_a_peer_has_not_got_is_said_in_words_that_name_shapes() -> None:
    for peer in PEERS:
        assert shapes.chosen(peer.without)


@pytest.mark.parametrize("op", ["cas", "watch"])
def test_of_many_in_flight_no_two_write_one_key_where_that_would_be_a_conflict(op: str) -> None:
    work, names = Workload(load.KEYS), [key(n) for n in range(load.KEYS)]
    written: list[set[int]] = []
    for place in range(16):
        plan = Plan(Load("visor", "asyncio", op, 16, 0, 0), work, names, place)
        written.append({next(plan.steps)[0] for _ in range(2 * load.PLANNED)})
    assert sum(map(len, written)) == len(set().union(*written))
    assert max(max(each) for each in written) < 1000


# -- raw lines --------------------------------------------------------------------------------------------


def test_raw_lines_come_back_as_they_were() -> None:
    first = sitting(run("visor", 12.5), run("etcd", 3.25))
    lines = [raw.head(first.about), "", *(raw.line(each) for each in first.runs)]
    assert raw.read(lines) == first


def test_a_line_that_is_none_is_named_by_its_number() -> None:
    with pytest.raises(ValueError, match="line 2 is no run"):
        raw.read([raw.head({"date": "today"}), '{"peer": "etcd"}'])
    with pytest.raises(ValueError, match="no line tells about the sitting"):
        raw.read([raw.line(run("etcd"))])


def test_rounds_that_nobody_disturbed_count_alone_and_for_all_peers() -> None:
    found = sitting(
        *(run("visor", 10.0 * n, round=n) for n in (1, 2, 3)),
        *(run("etcd", 1.0 * n, round=n, cpu_other=0.0 if n == 2 else 0.9) for n in (1, 2, 3)),
    )
    shape = found.shapes[0]
    assert found.rounds(shape) == ([2], False)
    ours, theirs = found.median(shape, "visor"), found.median(shape, "etcd")
    assert ours is not None and theirs is not None
    assert (ours.rate, theirs.rate) == (20.0, 2.0)
    assert found.median(shape, "nats") is None


def test_where_all_rounds_were_disturbed_the_quieter_half_counts() -> None:
    busy = {1: 1.9, 2: 0.5, 3: 0.6, 4: 1.0, 5: 1.1}
    found = sitting(
        *(run("visor", 10.0 * n, round=n) for n in busy),
        *(run("etcd", 1.0 * n, round=n, cpu_other=other) for n, other in busy.items()),
    )
    assert found.rounds(found.shapes[0]) == ([2, 3, 4], True)
    ours = found.median(found.shapes[0], "visor")
    assert ours is not None
    assert ours.rate == 30.0


def test_a_round_waits_for_others_to_rest_but_not_for_ever() -> None:
    now = [0.0]

    def wait(seconds: float, *cores: float) -> tuple[bool, float]:
        """Let others use so many cores in one look after the other; return what was told, and after how long."""
        now[0] = 0.0
        spent = iter([each for core in cores for each in (0.0, core * command.LOOK)])

        def sleep(seconds: float) -> None:
            now[0] += seconds

        return command.wait_for_quiet(seconds, lambda: next(spent), lambda: now[0], sleep), now[0]

    assert wait(1.0, 0.1) == (True, pytest.approx(command.LOOK))
    assert wait(1.0, 2.0, 1.0, 0.1) == (True, pytest.approx(3 * command.LOOK))
    assert wait(2 * command.LOOK, 2.0, 2.0) == (False, pytest.approx(2 * command.LOOK))
    assert wait(0.0) == (False, 0.0)


# -- ranking ----------------------------------------------------------------------------------------------


def test_where_visor_is_behind_in_anything_it_has_lost_and_the_lowest_rate_comes_first() -> None:
    found = sitting(
        run("visor", 100),
        run("etcd", 50, p99_us=1.0),  # slower, but sooner
        run("nats", 50),  # slower, and nothing better
        run("valkey", 400),
        run("zookeeper", 99, cpu_client_us=1.0, p99_us=30.0),  # cheaper
    )
    lost = ranking.losses(ranking.pairs(found))
    assert [(pair.theirs.peer, pair.lost) for pair in lost] == [
        ("valkey", ["rate"]),
        ("zookeeper", ["CPU"]),
        ("etcd", ["p99"]),
    ]


def test_a_figure_that_only_one_has_is_compared_with_nothing() -> None:
    assert not list(ranking.pairs(sitting(run("visor"), run("etcd", op="get"))))


# -- the tables -------------------------------------------------------------------------------------------


def test_what_is_lost_stands_first() -> None:
    text = page.body(
        sitting(run("visor", 50), run("etcd", 100), run("visor", 50, op="get"), run("etcd", 200, op="get"))
    )
    assert sections(text)[0] == "Where Visor loses"
    lost = rows(text, "Where Visor loses")
    assert [(cells[0], cells[1]) for cells in lost] == [
        ("get, 64 in flight, asyncio", "etcd"),
        ("put, 64 in flight, asyncio", "etcd"),
    ]
    assert "50 : 200 = 0.25" in lost[0]
    assert [cells[1] for cells in rows(text, "How many times as fast")] == ["**0.25**", "**0.50**"]


def test_who_loses_nothing_says_so_and_shows_every_figure() -> None:
    text = page.body(sitting(run("visor", 100), run("etcd", 50)))
    assert "Nowhere in this sitting" in text
    assert [cells[1:3] for cells in rows(text, "Every figure")] == [["Visor", "100"], ["etcd", "50"]]


def test_the_fastest_registry_is_none_that_promises_less() -> None:
    text = page.body(sitting(run("visor", 100), run("etcd", 50), run("zookeeper", 40), run("valkey", 400)))
    [cells] = rows(text, "How many times as fast")
    assert cells[-1] == "2.00"


def test_a_row_that_was_disturbed_throughout_is_marked() -> None:
    text = page.body(sitting(run("visor", cpu_other=0.5), run("etcd"), run("visor", op="get")))
    assert [cells[-1] for cells in rows(text, "Every figure")] == ["1 *", "1 *", "1"]


def test_disturbance_is_told_before_any_figure() -> None:
    text = page.body(sitting(run("visor", cpu_other=1.5), run("etcd", cpu_other=0.5), run("visor", op="get")))
    assert text.startswith(
        "**Disturbed**: of 2 loads 1 had no quiet round (`*`); other processes used 1.0 cores"
    )
    assert "Disturbed" not in page.body(sitting(run("visor"), run("etcd")))


def test_the_command_is_told_without_the_folders_of_who_typed_it() -> None:
    words = ["--only", "put", "--raw", "/home/me/x.jsonl", "--page=/home/me/y.md", "--rounds", "3"]
    assert command.said(words) == "python -m benchmarks beside --only put --rounds 3"


def test_the_tables_name_versions_durability_and_what_makes_peers_differ() -> None:
    text = page.body(sitting(run("visor"), run("valkey")))
    for word in (
        "2026-11-30",
        "a machine",
        "`a command`",
        "1.2.3",
        "`appendfsync always`",
        "`sync_interval: always`",
    ):
        assert word in text
    assert "IFEQ" in text


def test_tables_go_between_the_marks_of_a_page_and_nowhere_else() -> None:
    begin, end = page.marks("here")
    before = f"# A page\n\n{begin}\nold\n{end}\n\nThe end.\n"
    after = page.between(before, "here", "new\n")
    assert after == f"# A page\n\n{begin}\n\nnew\n\n{end}\n\nThe end.\n"
    assert page.between(after, "here", "new") == after
    with pytest.raises(ValueError, match="there: begin"):
        page.between(before, "there", "new")
    with pytest.raises(ValueError, match="once each"):
        page.between(before + begin, "here", "new")


@pytest.mark.parametrize("kept", sorted(MEASURED.glob("*.jsonl")), ids=lambda path: path.stem)
def test_the_page_says_what_the_raw_lines_say(kept: Path) -> None:
    text = PAGE.read_text()
    assert page.between(text, kept.stem, page.body(raw.load(kept))) == text


# -- what is missing --------------------------------------------------------------------------------------


def test_a_peer_that_is_missing_is_named_with_what_to_type() -> None:
    wanted = {
        "server": needs.program("no-such-server", "NO_SUCH_SERVER"),
        "client": needs.module("no_such_client"),
        "jar": needs.file("/no/such.jar", "apt install such"),
        "json": needs.module("json"),
    }
    places, missing = needs.found(wanted)
    assert list(places) == ["json"]
    text = needs.message("Such", missing)
    assert text.splitlines() == [
        "Such is left out:",
        f"  there is no program no-such-server (or NO_SUCH_SERVER=PATH): {needs.EXTRA}",
        f"  there is no Python package no_such_client: {needs.EXTRA}",
        "  there is no /no/such.jar: apt install such",
    ]


def test_a_program_is_where_its_variable_says_or_in_its_package_or_on_the_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packaged = tmp_path / "some_peer" / "bin"
    packaged.mkdir(parents=True)
    (tmp_path / "some_peer" / "__init__.py").touch()
    for place in (packaged / "peerd", tmp_path / "peerd"):
        place.touch(0o755)
    need = needs.program("peerd", "PEERD", "some_peer:bin/peerd")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert need.find() == tmp_path / "peerd"
    monkeypatch.syspath_prepend(str(tmp_path))
    assert need.find() == packaged / "peerd"
    monkeypatch.setenv("PEERD", "/elsewhere/peerd")
    assert need.find() == Path("/elsewhere/peerd")


def test_the_extra_brings_each_package_that_a_peer_is_asked_by() -> None:
    said = (ROOT / "pyproject.toml").read_text().partition("\nbenchmarks = [")[2].partition("]\ntest")[0]
    for peer in PEERS:
        if peer.needs:
            assert any(f'"{package}' in said for package in peer.clients.values()), peer.name


# -- servers, and the load --------------------------------------------------------------------------------


def test_a_server_that_ends_at_once_is_named_with_its_words_and_leaves_nothing(tmp_path: Path) -> None:
    command = [sys.executable, "-c", "print('the disk is made of cheese'); raise SystemExit(3)"]
    peer = dataclasses.replace(BY_NAME["etcd"], command=lambda *_: command)
    with pytest.raises(ChildError, match=r"(?s)etcd ended with code 3.*cheese"), Server(peer, {}, tmp_path):
        pass
    assert not list(tmp_path.iterdir())


def test_what_peers_are_started_with_syncs_before_it_answers(tmp_path: Path) -> None:
    def written(peer: Peer) -> str:
        command = peer.command({name: Path(name) for name in peer.needs}, tmp_path, 1, 2)
        return " ".join([*command, *(path.read_text() for path in tmp_path.iterdir())])

    assert "--appendfsync always" in written(BY_NAME["valkey"])
    assert "sync_interval: always" in written(BY_NAME["nats"])
    assert "forceSync=yes" in written(BY_NAME["zookeeper"])
    assert "unsafe" not in written(BY_NAME["etcd"])


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """A node that has all keys."""
    with embed.start(data_dir=tmp_path_factory.mktemp("beside")) as node:
        port = int(node.address.rpartition(":")[2])
        assert load.measure(Load("visor", "asyncio", "fill", 1, port, 0)) == {"ops": load.KEYS}
        yield port


@pytest.mark.parametrize("shape", shapes.SHAPES, ids=str)
def test_every_shape_is_answered_by_visor(port: int, shape: Shape) -> None:
    result = load.measure(
        Load("visor", shape.client, shape.op, shape.in_flight, port, 0, seconds=0.02, warmup=0.01)
    )
    assert result["ops"] > 0
    assert Run(peer="visor", **shape._asdict(), round=1, rate=1.0, **result).shape == shape


class Confused:
    """A client that answers with the value of another key."""

    value_of = staticmethod(bytes)
    put = None

    def name(self, path: str) -> int:
        return int(path[-11:])

    def get(self, name: int) -> bytes:
        return Workload(load.KEYS).value(name + 1)


class ConfusedTasks(Confused):
    async def get(self, name: int) -> bytes:  # type: ignore[override]
        return super().get(name)


def test_a_wrong_answer_ends_the_run() -> None:
    asked = Load("visor", "blocking", "get", 1, 0, 0, seconds=60.0, warmup=60.0)
    with pytest.raises(WrongError, match="came back with"):
        load.blocking(asked, Confused())  # type: ignore[arg-type]
    with pytest.raises(WrongError, match="came back with"):
        asyncio.run(load.awaited(asked, ConfusedTasks()))  # type: ignore[arg-type]


def test_a_range_that_is_not_whole_ends_the_run() -> None:
    whole = [Workload(load.KEYS).value(n) for n in range(1000)]
    load.check_all(whole)
    for bad in (whole[:-1], [*whole[:-1], whole[0]], []):
        with pytest.raises(WrongError, match="instead of the 1000"):
            load.check_all(bad)
