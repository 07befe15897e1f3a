"""Trees, scans and the past by HTTP: pages of one state, the same as the client reads."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import msgpack
import pytest

import visor
from tests.gateway.running import Caller
from visor.errors import Unsupported
from visor.gateway.reading import sought
from visor.testing import Server


def pages(http: Caller, url: str, **params: Any) -> Iterator[dict[str, Any]]:
    """Yield pages to the end, by the links that they carry."""
    answer = http.get(url, params=params or None)
    while True:
        assert answer.status_code == 200, answer.text
        yield answer.json()
        if "next" not in answer.links:
            assert answer.json()["next"] is None
            return
        answer = http.get(answer.links["next"]["url"])


def items(http: Caller, url: str, **params: Any) -> list[dict[str, Any]]:
    return [item for page in pages(http, url, **params) for item in page["items"]]


@pytest.fixture(scope="module", autouse=True)
def files(registry: Server) -> None:
    with registry.dial() as client:
        for number in range(30):
            client.set(f"/many/{number:02}", str(number).encode(), note=f"note {number}")
        client.set("/many/dir/inside", b"\xff")
        client.set("/many/00", b"changed")
        client.delete("/many/01")


def test_a_directory_page_by_page_is_that_of_one_rev(http: Caller, client: visor.Client[bytes]) -> None:
    first = http.get("/v1/tree/many?limit=7")
    client.set("/many/10-more", b"too late")
    rest = items(http, first.links["next"]["url"])
    names = [item["name"] for item in first.json()["items"] + rest]
    there = client.names("/many", at=first.json()["rev"])
    assert names == there
    assert "10-more" not in names
    assert "immutable" in http.get(first.links["next"]["url"]).headers["cache-control"]
    client.delete("/many/10-more")


def test_a_directory_is_read_from_any_place_of_it(http: Caller, client: visor.Client[bytes]) -> None:
    client.set("/places/zz", b"")
    for number in range(9):
        client.set(f"/places/{number}", b"")
    before = client.rev()
    client.delete("/places/0")
    told = http.get("/v1/tree/places?skip=3&limit=2").json()
    assert ([item["name"] for item in told["items"]], told["place"], told["total"]) == (["4", "5"], 3, 9)
    told = http.get(f"/v1/tree/places?skip=3&limit=2&at={before}").json()
    assert ([item["name"] for item in told["items"]], told["place"], told["total"]) == (["3", "4"], 3, 10)
    told = http.get("/v1/tree/places?begin=5x&limit=2").json()
    assert ([item["name"] for item in told["items"]], told["place"]) == (["6", "7"], 5)
    rest = http.get(f"/v1/tree/places?cursor={told['next']}").json()
    assert [item["name"] for item in rest["items"]] == ["8", "zz"]
    assert http.get("/v1/tree/places?skip=99").json()["items"] == []
    assert http.problem("GET", "/v1/tree/places?begin=a/b") == (400, "usage")
    assert http.problem("GET", "/v1/tree/places?begin=a&skip=1") == (400, "usage")
    client.delete("/places", recursive=True)
    assert http.get("/v1/tree/?skip=0").json()["total"] > 0


def test_entries_say_what_they_are(http: Caller) -> None:
    found = {item["name"]: item for item in items(http, "/v1/tree/many", values=1)}
    assert found["dir"]["kind"] == "directory"
    assert "value" not in found["dir"]
    assert (found["02"]["kind"], found["02"]["value"], found["02"]["path"]) == ("file", "2", "/many/02")
    assert [item["name"] for item in items(http, "/v1/tree/")][-1] == "many"
    assert http.problem("GET", "/v1/tree/nowhere") == (404, "not_found")
    assert http.problem("GET", "/v1/tree/many/02") == (409, "not_directory")


def test_a_scan_of_globs(http: Caller, client: visor.Client[bytes]) -> None:
    found = items(http, "/v1/scan", glob=["/many/0?", "/many/dir/*"], values=1, limit=4)
    assert [item["path"] for item in found] == [file.path for file in client.scan("/{many/0?,many/dir/*}")]
    assert found[0]["value"] == "changed"
    assert found[-1]["value_base64"] == "/w==" or found[0]["path"] == "/many/dir/inside"
    assert "value" not in items(http, "/v1/scan", glob="/many/02")[0]
    assert items(http, "/v1/scan", glob="/many/0?", reverse=1)[0]["path"] == "/many/09"
    assert http.get("/v1/scan", params={"glob": "/many/**", "count": 1}).json()["count"] == 30
    assert http.problem("GET", "/v1/scan?glob=many") == (422, "bad_glob")
    assert http.problem("GET", "/v1/scan?cursor=nonsense") == (400, "usage")


def test_all_pages_as_lines(http: Caller) -> None:
    answer = http.get("/v1/scan?glob=/many/**&limit=3", headers={"accept": "application/jsonl"})
    assert answer.headers["content-type"] == "application/jsonl"
    rows = [json.loads(line) for line in answer.text.splitlines()]
    assert [row["path"] for row in rows] == [
        item["path"] for item in items(http, "/v1/scan", glob="/many/**")
    ]


def test_msgpack_has_the_same_with_values_as_bytes(http: Caller) -> None:
    answer = http.get("/v1/scan?glob=/many/dir/**&values=1", headers={"accept": "application/msgpack"})
    told = msgpack.unpackb(answer.content)
    assert told["items"][0]["value"] == b"\xff"
    assert told.keys() == http.get("/v1/scan?glob=/many/dir/**&values=1").json().keys()


def test_what_a_path_is(http: Caller, client: visor.Client[bytes]) -> None:
    told = http.get("/v1/stat/many/02").json()
    stat = client.stat("/many/02")
    assert (told["kind"], told["size"], told["mod_rev"]) == ("file", 1, stat.mod_rev)
    assert http.get("/v1/stat/many").json()["kind"] == "directory"
    assert http.problem("GET", "/v1/stat/nowhere") == (404, "not_found")


def test_history_says_who_when_and_why(http: Caller, client: visor.Client[bytes]) -> None:
    found = items(http, "/v1/history/many/00", values=1, previous=1)
    there = list(client.history("/many/00"))
    assert [commit["rev"] for commit in found] == [commit.rev for commit in there]
    assert [commit["note"] for commit in found] == ["note 0", None]
    change = found[1]["changes"][0]
    assert (change["kind"], change["value"], change["previous"]["value"]) == ("update", "changed", "0")
    deleted = items(http, "/v1/history/many/01", reverse=1)
    assert [commit["changes"][0]["kind"] for commit in deleted] == ["delete", "create"]


def test_commits_page_by_page_both_ways(http: Caller, client: visor.Client[bytes]) -> None:
    revs = [commit.rev for commit in client.history("/many/**")]
    forward = [commit["rev"] for commit in items(http, "/v1/commits", glob="/many/**", limit=6)]
    backward = [commit["rev"] for commit in items(http, "/v1/commits", glob="/many/**", limit=6, reverse=1)]
    assert (forward, backward) == (revs, revs[::-1])
    some = items(http, "/v1/commits", **{"glob": "/many/**", "from": revs[3], "to": revs[5], "limit": 2})
    assert [commit["rev"] for commit in some] == revs[3:6]
    assert items(http, "/v1/commits", **{"from": "-1h", "glob": "/many/0*"})
    assert items(http, "/v1/commits", to="-1h", glob="/many/**") == []


def test_blame(http: Caller, client: visor.Client[bytes]) -> None:
    found = {item["path"]: item for item in items(http, "/v1/blame/many", limit=5)}
    blamed = {each.path: each for each in client.blame("/many/**")}
    assert found.keys() == blamed.keys()
    assert all(found[path]["mod_rev"] == blamed[path].rev for path in found)
    assert found["/many/07"]["note"] == "note 7"
    assert found["/many/07"]["actor"] == blamed["/many/07"].actor


def test_a_diff_of_two_revs(http: Caller, client: visor.Client[bytes]) -> None:
    first = next(client.history("/many/**")).rev
    found = items(http, "/v1/diff", a=first + 29, glob="/many/**", limit=1)
    assert [(each["path"], each["kind"]) for each in found] == [
        (each.path, each.kind.value) for each in client.diff(first + 29, client.rev(), "/many/**")
    ]
    by_path = {each["path"]: each for each in found}
    assert by_path["/many/00"]["before"]["value"] == "0"
    assert by_path["/many/01"]["after"] is None
    assert http.problem("GET", "/v1/diff") == (400, "usage")


def test_density_counts_every_commit_once(http: Caller, client: visor.Client[bytes]) -> None:
    for glob in ("/**", "/many/0*"):
        told = http.get("/v1/density", params={"glob": glob, "buckets": 7}).json()
        assert len(told["counts"]) == 7
        assert len(told["revs"]) == 8
        commits = [commit.rev for commit in client.history(glob, last=told["revs"][-1])]
        assert sum(told["counts"]) == len([rev for rev in commits if rev > told["revs"][0]])
        assert told["complete"]
    late = client.horizon().time + timedelta(hours=1)
    assert http.problem("GET", "/v1/density", params={"from": late.isoformat()}) == (400, "usage")


def test_every_page_says_which_state_it_is_of(http: Caller) -> None:
    answer = http.get("/v1/tree/many")
    assert answer.headers["visor-rev"] == str(answer.json()["rev"])
    assert answer.headers["visor-cluster"]


def test_a_member_that_lists_from_no_place_is_said_to_be_too_old() -> None:
    async def read(*_: Any) -> list[Any]:
        return [5, [], None]  # as a version answers that knows nothing of `seek`

    with pytest.raises(Unsupported, match="upgrade it"):
        asyncio.run(sought(read, None, 10, {}, 100))
