"""Each mistake of `visor/docs/mistakes.md`, made on purpose: what is said is what the page says, word by word.

One test goes through them in an order in which one leads to the next; whoever changes words changes the page.
"""

from __future__ import annotations

import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.admin.command import visor
from tests.cluster import ports
from tests.node_process import ROOT, NodeProcess, run

pytestmark = pytest.mark.soak

PAGE = ROOT / "visor" / "docs" / "mistakes.md"
PATIENCE = 60.0
STILL_SECONDS = 8.0
"""More than a busy machine lets a process wait."""


def rows() -> dict[int, tuple[str, int | None]]:
    """Return what the page says: number -> (what is said, the exit code)."""
    found = {}
    for line in PAGE.read_text().splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if cells[0].isdigit():
            found[int(cells[0])] = (cells[3].strip("`"), int(cells[4]) if cells[4] else None)
    return found


def pattern(said: str) -> re.Pattern[str]:
    return re.compile(".*".join(map(re.escape, said.split("…"))))


class Mistakes:
    """Compares what was said with the page; `left` are the rows that were not made yet."""

    def __init__(self) -> None:
        self._rows = rows()
        self.left = set(self._rows)

    def said(self, number: int, text: str, code: int | None = None) -> None:
        """This came of the mistake in row `number`."""
        words, expected = self._rows[number]
        assert pattern(words).search(text), f"{number}: {words!r} is not in {text[-3000:]!r}"
        assert code == expected, (number, code, text)
        self.left.discard(number)

    def logged(self, number: int, node: Node) -> None:
        """This comes into the log of a node, now or soon."""
        words, expected = self._rows[number]
        assert expected is None
        node.until(lambda: pattern(words).search(node.errors()), f"{number}: {words}")
        self.left.discard(number)


class Node(NodeProcess):
    """A member on ports of its own, whose log is text."""

    def __init__(self, folder: Path, name: str, *words: str, directory: str = "") -> None:
        self.client, self.peer, self.http = (ports.address() for _ in range(3))
        self.data = folder / (directory or name)
        self.words = [
            *("serve", "--name", name, "--listen", self.client, "--peer-listen", self.peer),
            *("--data-dir", str(self.data), "--set", "log.format=text", "--set", f"listen.http={self.http}"),
            *("--set", "storage.log_segment_bytes=4194304", "--set", "storage.log_chunk_bytes=262144"),
        ]
        super().__init__(None, arguments=[*self.words, *words])

    def again(self, *words: str) -> None:
        """Start it once more, with other words behind its own."""
        self._arguments = [*self.words, *words]
        self.start()

    def until(self, condition: Callable[[], object], what: str) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            assert time.monotonic() < deadline, f"{what} did not come; {self.errors()[-3000:]}"
            time.sleep(0.05)


def alone(folder: Path, mistakes: Mistakes) -> None:
    """Starts that come to nothing, on a machine where nothing else runs."""
    new = (
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--peer-listen",
        "127.0.0.1:0",
        "--data-dir",
        str(folder / "new"),
    )
    own = ports.address()
    for number, words in {
        6: new,
        9: (*new, "--join", "http://127.0.0.1:8047"),
        10: (*new, "--peer-listen", own, "--join", own),
        13: (*new, "--bootstrap", "--listen", "0.0.0.0:0"),
        14: (*new, "--bootstrap", "--peer-listen", "0.0.0.0:0"),
        15: (*new, "--bootstrap", "--set", "node.nmae=n1"),
    }.items():
        done = run(*words)
        mistakes.said(number, done.stderr, done.returncode)


def founded_twice(n1: Node, m2: Node, mistakes: Mistakes) -> None:
    """Two clusters, given to a client as one: it goes to either, and says the same of the other."""

    def as_of_n1(text: str) -> str:
        return text.replace("(n1, 3 members)", "(m2, 1 member)")

    both = f"{n1.client},{m2.client}"
    health = visor(both, "cluster", "health")
    mistakes.said(1, as_of_n1(health.out), health.code)
    status = visor(both, "cluster", "status")
    mistakes.said(2, as_of_n1(status.err), status.code)
    as_json = visor(both, "cluster", "health", "--json").document
    assert [row["problem"] for row in as_json["given"]] == [""]
    assert not as_json["healthy"]


def used_directories(n1: Node, n2: Node, m2: Node, mistakes: Mistakes) -> None:
    m2.stop()
    m2.again("--join", n1.peer)
    mistakes.logged(3, m2)
    m2.stop()
    m2.again("--bootstrap")
    mistakes.logged(5, m2)
    m2.stop()
    recovered = run("recover", "--data-dir", str(m2.data))
    mistakes.said(25, recovered.stderr, recovered.returncode)
    n2.stop()
    n2.again("--join", n1.peer)
    mistakes.logged(4, n2)


def wrong_ports(folder: Path, n1: Node, mistakes: Mistakes) -> None:
    for number, address in {7: n1.client, 8: n1.http}.items():
        lost = Node(folder, "n9", "--join", address, directory=f"n9-{number}")
        lost.launch()
        try:
            mistakes.logged(number, lost)
        finally:
            lost.close()
    ping = visor(n1.peer, "ping")
    mistakes.said(18, ping.err, ping.code)


def taken(folder: Path, n1: Node, mistakes: Mistakes) -> None:
    """Names, ports and directories that somebody has."""
    new = ("--peer-listen", "127.0.0.1:0", "--join", n1.peer)
    named = run("serve", "--name", "n2", "--listen", "127.0.0.1:0", *new, "--data-dir", str(folder / "twice"))
    mistakes.said(11, named.stderr, named.returncode)
    port = run("serve", "--listen", n1.client, *new, "--data-dir", str(folder / "port"))
    mistakes.said(16, port.stderr, port.returncode)
    locked = run("serve", "--name", "n1", "--listen", "127.0.0.1:0", *new, "--data-dir", str(n1.data))
    mistakes.said(17, locked.stderr, locked.returncode)


def losses(members: list[Node], mistakes: Mistakes) -> None:
    """Members that stop, die, are removed, and come back."""
    n1, n2, n3 = members
    assert visor(n1.client, "cluster", "transfer", "n1").code == 0
    n3.signal(signal.SIGSTOP)
    time.sleep(STILL_SECONDS)
    n3.signal(signal.SIGCONT)
    mistakes.logged(23, n3)
    n3.kill()
    mistakes.logged(20, n1)
    health = visor(n1.client, "cluster", "health")
    mistakes.said(21, health.out, health.code)
    n2.kill()
    mistakes.logged(22, n1)
    n2.start()
    n1.until(lambda: visor(n1.client, "cluster", "remove", "n3", "--yes").code == 0, "the removal of n3")
    n3.launch()
    code = n3.wait(PATIENCE)
    mistakes.said(12, n3.errors(), code)
    n1.kill()
    dry = run("recover", "--data-dir", str(n1.data))
    mistakes.said(24, dry.stderr, dry.returncode)


def three(folder: Path) -> list[Node]:
    """Return three members that vote."""
    n1 = Node(folder, "n1", "--bootstrap")
    nodes = [n1, *(Node(folder, name, "--join", n1.peer) for name in ("n2", "n3"))]
    try:
        for node in nodes:
            node.start()
        n1.until(lambda: visor(n1.client, "cluster", "health", "--expect", "3").code == 0, "three to vote")
    except BaseException:
        for node in nodes:
            node.close()
        raise
    return nodes


@pytest.mark.timeout(600)  # thirty starts, one after another
def test_each_mistake_is_said_as_the_page_says(folder: Path) -> None:
    mistakes = Mistakes()
    alone(folder, mistakes)
    members = three(folder)
    m2 = Node(folder, "m2", "--bootstrap")
    try:
        n1, n2, _ = members
        expected = visor(n1.client, "cluster", "health", "--expect", "4")
        mistakes.said(19, expected.out, expected.code)
        m2.start()
        founded_twice(n1, m2, mistakes)
        used_directories(n1, n2, m2, mistakes)
        wrong_ports(folder, n1, mistakes)
        taken(folder, n1, mistakes)
        losses(members, mistakes)
    finally:
        for node in (*members, m2):
            node.close()
    assert mistakes.left == set(), "rows of the page that nobody made"
