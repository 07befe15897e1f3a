"""The tree of a cluster under load whose leaders go meanwhile: what is shown is what the client reads at that rev."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import visor
from tests.admin.members import Members
from tests.console.conftest import row
from tests.console.three import NAMES, members, running
from tests.patience import PATIENCE, eventually
from visor.errors import VisorError

__all__ = ["members", "running"]

HOSTS = 20


class Load:
    """Sets, creates and deletes files, one after another, whatever becomes of leaders; `with` ends it."""

    def __init__(self, addresses: str) -> None:
        self._client = visor.dial(addresses, timeout=PATIENCE)
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.written = 0

    def _run(self) -> None:
        while not self._over.is_set():
            number = self.written
            path = f"/load/h{number % HOSTS:02}/state"
            try:
                self._client.set(path, b"%d" % number)
                if number % 7 == 0:
                    self._client.delete(path)
                self.written += 1
            except VisorError:
                continue

    def __enter__(self) -> Load:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(PATIENCE)
        self._client.close()


SHOWN = """() => {
    const tree = document.querySelector(".tree");
    const rows = [...tree.querySelectorAll(".row:not(.unread)")].map((row) => [
        Number(row.getAttribute("aria-rowindex")), row.querySelector(".name").textContent,
        Number(row.querySelector(".rev").textContent)]);
    return [Number(tree.dataset.rev), rows.sort((a, b) => a[0] - b[0]).map(([, ...row]) => row)];
}"""


def there(client: visor.Client[bytes], rev: int) -> list[list[Any]]:
    """Return the rows that a client reads: all of /load at a rev, with what is open."""
    top = next(entry for entry in client.ls("/", at=rev) if entry.name == "load")
    rows: list[list[Any]] = [["load/", top.mod_rev]]
    for host in client.ls("/load", at=rev):
        rows.append([f"{host.name}/", host.mod_rev])
        if host.name in ("h03", "h04"):
            rows += [[file.name, file.mod_rev] for file in client.ls(f"/load/{host.name}", at=rev)]
    return rows


def test_the_tree_is_right_under_load_and_behind_a_killed_leader(
    opened: Callable[..., Any], members: Members
) -> None:
    addresses = ",".join(members.address(name) for name in NAMES)
    with visor.dial(addresses, timeout=PATIENCE) as client:
        client.set("/load/h03/state", b"")
        page = opened("#/tree/load?open=/load,/load/h03,/load/h04", viewport={"width": 1280, "height": 1200})
        row(page, "load").wait_for()
        with Load(addresses) as load:
            for wanted in (60, 120):
                eventually(lambda wanted=wanted: load.written > wanted, "some writes")
                rev, rows = page.evaluate(SHOWN)
                assert rows == there(client, rev), "one rev, the rev that it says"
                leader = members.leader() or ""
                members.stop(leader)
                members.until(lambda: members.leader() is not None, "a leader")
                members.start(leader)
        rev = client.rev()
        eventually(lambda: page.evaluate(SHOWN)[0] >= rev, "the page has followed")
        eventually(
            lambda: page.evaluate(SHOWN)[1] == there(client, page.evaluate(SHOWN)[0]), "all of it is right"
        )
        page.wait_for_selector(".state.live")
