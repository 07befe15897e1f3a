"""`/v1/moment`: the rows between two places of a tree, what is selected and who made the rev, of one rev at once."""

from __future__ import annotations

from typing import Any

import pytest

import visor
from tests.gateway.conftest import closed_to
from tests.gateway.running import Caller, gateway
from visor.auth import Grant
from visor.gateway.at_once import MOST_OPEN
from visor.gateway.treerows import Opened, row_of, runs, seen
from visor.testing import server


@pytest.fixture(scope="module", autouse=True)
def files(registry: Any) -> None:
    with registry.dial() as client:
        for number in range(120):
            client.set(f"/m/a/{number:03}", b"")
        client.set("/m/b/x", b"1", note="first")
        client.set("/m/b/y", b"2")


def lines(told: dict[str, Any], first: int = 0) -> list[str]:
    """Return the paths that lie in these rows, which come one after another, as many as were asked for."""
    assert [each["row"] for each in told["rows"]] == list(range(first, first + len(told["rows"])))
    totals = {each["path"]: each["total"] for each in told["directories"]}
    for each in told["rows"]:
        parent = each["path"].rpartition("/")[0] or "/"
        assert (each["of"], each["level"]) == (totals[parent], each["path"].count("/"))
        assert each["place"] < each["of"]
    return [each["path"] for each in told["rows"]]


def all_rows(http: Caller, **params: Any) -> list[str]:
    found: list[str] = []
    while True:
        told = http.get("/v1/moment", params={**params, "first": len(found), "rows": 40}).json()
        part = lines(told, len(found))
        found += part
        if len(found) >= told["size"]:
            return found


def test_rows_are_those_of_the_open_directories_one_below_the_other(http: Caller) -> None:
    found = all_rows(http, open=["/m", "/m/a", "/m/b"])
    below = found[found.index("/m") + 1 :]
    assert below[:124] == [
        "/m/a",
        *(f"/m/a/{number:03}" for number in range(120)),
        "/m/b",
        "/m/b/x",
        "/m/b/y",
    ]
    assert all_rows(http, open=["/m", "/m/b"])[found.index("/m") + 1 :][:4] == [
        "/m/a",
        "/m/b",
        "/m/b/x",
        "/m/b/y",
    ]
    assert "/m/b/x" not in all_rows(http, open=["/m/b"]), "its parent is closed"


def test_it_is_all_of_one_rev(http: Caller, client: visor.Client[bytes]) -> None:
    before = client.rev()
    rev = client.set("/m/b/x", b"changed", note="why")
    client.set("/m/b/w", b"new")
    asked: dict[str, Any] = {"open": ["/m", "/m/b"], "path": "/m/b/x", "rows": 100}
    answer = http.get("/v1/moment", params={**asked, "at": rev})
    told = answer.json()
    assert "immutable" in answer.headers["cache-control"]
    assert (told["rev"], told["commit"]["rev"], told["commit"]["note"], told["commit"]["changes"]) == (
        rev,
        rev,
        "why",
        1,
    )
    assert (
        told["selected"]["told"]
        == http.get(f"/v1/files/m/b/x?at={rev}", headers={"accept": "application/json"}).json()
    )
    assert lines(told)[-2:] == ["/m/b/x", "/m/b/y"]
    old = http.get("/v1/moment", params={**asked, "at": before}).json()
    assert old["selected"]["told"]["value"] == "1"
    now = http.get("/v1/moment", params=asked)
    assert "immutable" not in now.headers["cache-control"]
    assert lines(now.json())[-3:] == ["/m/b/w", "/m/b/x", "/m/b/y"]
    client.delete("/m/b/w")


def test_what_is_selected_is_told_whatever_it_is(http: Caller) -> None:
    def selected(path: str) -> dict[str, Any]:
        found: dict[str, Any] = http.get("/v1/moment", params={"path": path}).json()["selected"]
        return found

    assert (selected("/m/b/y")["kind"], selected("/m/b/y")["told"]["value"]) == ("file", "2")
    assert (selected("/m/a")["kind"], selected("/m/a")["told"]["size"]) == ("directory", 120)
    assert [selected(path)["kind"] for path in ("/", "/m/none", "/m/b/y/none")] == [
        "directory",
        "missing",
        "missing",
    ]
    bare = http.get("/v1/moment").json()
    assert (bare["selected"], bare["directories"], bare["size"]) == (None, [], 0)


def test_where_the_selected_path_lies_is_told_where_that_is_asked(http: Caller) -> None:
    asked = {"open": ["/m", "/m/a"], "path": "/m/a/100", "rows": 5}
    row = [http.get("/v1/moment", params={**asked, "place": place}).json()["row"] for place in (0, 1)]
    assert row == [None, all_rows(http, open=asked["open"]).index("/m/a/100")]
    assert http.get("/v1/moment", params={**asked, "path": "/m/none", "place": 1}).json()["row"] is None


def test_what_was_not_there_then_is_told_as_empty(http: Caller) -> None:
    told = http.get("/v1/moment?open=/m&open=/m/b&path=/m/b/x&rows=50&at=1").json()
    assert told["selected"]["kind"] == "missing"
    assert [each["total"] for each in told["directories"] if each["path"] == "/m/b"] == [0]
    assert http.get("/v1/moment?at=0&rows=50").json()["commit"] is None


@pytest.mark.parametrize(
    ("query", "problem", "named"),
    [
        ("open=m", (422, "bad_path"), "open='m'"),
        ("open=/m//a", (422, "bad_path"), "open='/m//a'"),
        ("path=/m/../x", (422, "bad_path"), "path='/m/../x'"),
        ("path=", (422, "bad_path"), "path=''"),
        ("rows=501", (400, "usage"), "rows='501'"),
        ("rows=-1", (400, "usage"), "rows='-1'"),
        ("first=9223372036854775808", (400, "usage"), "first="),
        ("place=1", (400, "usage"), "`path`"),
        ("at=99999999", (409, "future_rev"), "99999999"),
        (
            "&".join(f"open=/{number}" for number in range(MOST_OPEN + 1)),
            (400, "usage"),
            f"open: at most {MOST_OPEN}",
        ),
    ],
)
def test_what_is_wrong_is_named(http: Caller, query: str, problem: tuple[int, str], named: str) -> None:
    assert http.problem("GET", f"/v1/moment?{query}") == problem
    assert named in http.get(f"/v1/moment?{query}").json()["detail"]


def test_who_may_read_parts_sees_those_and_the_way_to_them() -> None:
    with server() as registry, registry.dial() as client:
        grants = [Grant("read", each) for each in ("/mine/**", "/apps/web/head", "/apps/*/log", "/gone/**")]
        root, ada = closed_to(client, grants)
        with visor.dial(registry.address, token=root) as admin:
            for path in ("/mine/a", "/other/b", "/apps/web/head", "/apps/web/secret", "/apps/db/log"):
                admin.set(path, b"secret")
        with gateway(registry.address) as running, Caller(running.url, authorization=f"Bearer {ada}") as http:
            asked = {
                "open": ["/mine", "/apps", "/apps/web", "/other"],
                "path": "/mine/a",
                "rows": 50,
                "place": 1,
            }
            told = http.get("/v1/moment", params=asked).json()
            assert lines(told) == ["/apps", "/apps/web", "/apps/web/head", "/mine", "/mine/a"]
            assert (told["row"], told["selected"]["told"]["value"]) == (4, "secret")
            kinds = {each["path"]: each.get("problem", {}).get("code") for each in told["directories"]}
            assert kinds == {
                "/": "denied",
                "/mine": None,
                "/apps": "denied",
                "/apps/web": "denied",
                "/other": "denied",
            }
            refused = http.get("/v1/moment?path=/other/b&rows=50").json()
            assert (refused["selected"]["kind"], refused["selected"]["problem"]["code"]) == (
                "refused",
                "denied",
            )
            assert "secret" not in str(refused)
            assert http.get("/v1/moment?path=/other/none").json()["selected"]["problem"]["code"] == "denied"
            assert lines(http.get("/v1/moment?at=1&rows=50").json()) == ["/apps", "/mine"]
            assert http.problem("GET", "/v1/moment", headers={"authorization": "Bearer vis_none"})[0] == 401


def test_rows_are_laid_out_in_runs_and_seen_in_parts() -> None:
    rows = runs({"/": Opened(4, {"/b": 1}), "/b": Opened(10, {"/b/c": 9}), "/b/c": Opened(2, {})})
    assert [(run.path, run.level, run.place, run.count, run.row) for run in rows] == [
        ("/", 1, 0, 2, 0),
        ("/b", 2, 0, 10, 2),
        ("/b/c", 3, 0, 2, 12),
        ("/", 1, 2, 2, 14),
    ]
    assert [(run.path, run.place, run.count, run.row) for run in seen(rows, 11, 15)] == [
        ("/b", 9, 1, 11),
        ("/b/c", 0, 2, 12),
        ("/", 2, 1, 14),
    ]
    assert seen(rows, 16, 30) == []
    assert [row_of(rows, "/", place) for place in range(5)] == [0, 1, 14, 15, None]
