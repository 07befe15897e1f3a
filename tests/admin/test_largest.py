"""STATUS with rows: who is connected, who watches what and how far behind, whose the sessions and leases are."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import visor
from tests.patience import eventually
from visor import errors, select
from visor.protocol import verbs
from visor.testing import Server, server


@pytest.fixture(scope="module")
def registry() -> Iterator[Server]:
    with server() as running:
        yield running


def test_who_is_there_is_told_with_what_it_watches(registry: Server) -> None:
    with (
        visor.dial(registry.address, actor="watcher") as watcher,
        visor.dial(registry.address, actor="asker") as asker,
    ):
        one = watcher.watch("/apps/**")
        two = watcher.watch(select.any_of("/a", "/{b,c}/*"))
        asker.set("/apps/web", b"1")
        lease = asker.lease(30)
        asker.set("/apps/held", b"2", lease=lease)

        def tables() -> dict[str, list[dict[str, object]]]:
            found: dict[str, list[dict[str, object]]] = asker.status(rows=10).told["tables"]
            return found

        eventually(lambda: all(row["behind"] == 0 for row in tables()["watches"]), "all is told")
        found = tables()
        assert {row["actor"]: row["watches"] for row in found["connections"]} == {"watcher": 2, "asker": 0}
        assert {row["user"] for row in found["connections"]} == {"anonymous"}
        watched = [row["what"] for row in found["watches"]]
        assert len(watched) == 2
        assert [verbs.SEL_TREE, "/apps"] in watched or [verbs.SEL_GLOB, "/apps/**"] in watched
        assert {row["state"] for row in found["watches"]} == {"live"}
        assert [(row["lease"], row["ttl"], row["files"]) for row in found["leases"]] == [(lease.id, 30, 1)]
        assert found["sessions"][0]["sessions"] == 1
        assert asker.status(rows=1).told["tables"]["watches"] == found["watches"][:1]
        one.close()
        two.close()


def test_a_watch_that_is_not_read_is_behind_and_comes_first(registry: Server) -> None:
    with visor.dial(registry.address) as client:
        client.set("/slow/a", b"x" * 1000)
        quick = client.watch("/quick")
        slow = client.watch("/slow/**", rev=1)
        for _ in range(100):
            client.set("/slow/a", b"x" * 50_000)
        rows = client.status(rows=5).told["tables"]["watches"]
        assert rows[0]["behind"] > 0
        assert "/slow" in str(rows[0]["what"])
        quick.close()
        slow.close()


@pytest.mark.parametrize("rows", [-1, 101, "1", None, 1.5])
def test_what_is_no_number_of_rows_is_refused(registry: Server, rows: object) -> None:
    with visor.dial(registry.address) as client, pytest.raises(errors.BadRequest, match="rows must be"):
        client.channel.call([verbs.STATUS, 0, rows], False, None)


def test_without_rows_nobody_is_named(registry: Server) -> None:
    with visor.dial(registry.address) as client:
        told = client.status().told
        assert "tables" not in told
        assert told["connections"] == 1
        assert told["disk"] is None or told["disk"]["free"] <= told["disk"]["total"]
