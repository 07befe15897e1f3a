"""Files by HTTP: the body is the value, the tag is the rev, conditions are guards, and no value is ever run."""

from __future__ import annotations

import pytest

import visor
from tests.gateway.running import Caller


def test_a_value_comes_back_as_it_was_written(http: Caller) -> None:
    value = bytes(range(256))
    rev = http.put("/v1/files/bytes/all", value).json()["rev"]
    answer = http.get("/v1/files/bytes/all")
    assert (answer.status_code, answer.content) == (200, value)
    assert answer.headers["etag"] == f'"{rev}"'
    assert answer.headers["visor-rev"] == str(rev)
    head = http.head("/v1/files/bytes/all")
    assert head.headers["content-length"] == "256"
    assert (head.content, head.headers["etag"]) == (b"", f'"{rev}"')


def test_a_value_is_never_run_by_a_browser(http: Caller) -> None:
    http.put("/v1/files/page.html", "<script>alert(1)</script>", headers={"content-type": "text/html"})
    answer = http.get("/v1/files/page.html", headers={"accept": "text/html,*/*;q=0.8"})
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "sandbox" in answer.headers["content-security-policy"]
    assert answer.headers["content-disposition"].startswith("attachment")


def test_all_about_a_file_as_json(http: Caller) -> None:
    http.put("/v1/files/about/text", "text", headers={"visor-note": "first"})
    rev = http.put("/v1/files/about/text", "more", headers={"visor-actor": "ada"}).json()["rev"]
    told = http.get("/v1/files/about/text", headers={"accept": "application/json"}).json()
    assert told["time"].endswith("Z")
    del told["time"]
    assert told == {
        "path": "/about/text", "rev": rev, "mod_rev": rev, "created": rev - 1, "count": 2, "lease": 0, "size": 4,
        "value": "more", "actor": "ada", "note": None,
    }  # fmt: skip
    http.put("/v1/files/about/bytes", b"\xff")
    told = http.get("/v1/files/about/bytes", headers={"accept": "application/json"}).json()
    assert told["value_base64"] == "/w=="


def test_conditions_of_a_write_are_guards(http: Caller) -> None:
    url = "/v1/files/guarded"
    first = http.put(url, "1", headers={"if-none-match": "*"})
    assert first.status_code == 201
    tag = first.headers["etag"]
    assert http.problem("PUT", url, content="2", headers={"if-none-match": "*"}) == (412, "exists")
    second = http.put(url, "2", headers={"if-match": tag})
    assert http.problem("PUT", url, content="3", headers={"if-match": tag}) == (412, "rev_mismatch")
    assert http.problem("DELETE", url, headers={"if-match": tag}) == (412, "rev_mismatch")
    assert http.get(url).text == "2"
    assert http.delete(url, headers={"if-match": second.headers["etag"]}).status_code == 200
    assert http.problem("PUT", url, content="4", headers={"if-match": "*"})[0] in (404, 412)
    assert http.problem("GET", url) == (404, "not_found")


def test_who_has_a_file_already_is_not_sent_it_again(http: Caller) -> None:
    tag = http.put("/v1/files/fresh", "1").headers["etag"]
    assert http.get("/v1/files/fresh", headers={"if-none-match": f'"0", {tag}'}).status_code == 304
    assert http.get("/v1/files/fresh", headers={"if-none-match": '"0"'}).text == "1"
    assert http.problem("GET", "/v1/files/fresh", headers={"if-match": '"0"'}) == (412, "guard_failed_here")


def test_the_past_is_read_by_rev_and_time_and_may_be_kept(http: Caller, client: visor.Client[bytes]) -> None:
    rev = http.put("/v1/files/past", "old").json()["rev"]
    http.put("/v1/files/past", "new")
    old = http.get("/v1/files/past", params={"at": rev})
    assert (old.text, old.headers["visor-rev"]) == ("old", str(rev))
    assert "immutable" in old.headers["cache-control"]
    assert http.get("/v1/files/past").headers["cache-control"] == "no-store"
    moment = next(client.history("/past", first=rev, last=rev)).time.isoformat()
    assert http.get(f"/v1/files/past?at={moment}").text in ("old", "new")
    assert http.problem("GET", "/v1/files/past?at=-1h") == (404, "not_found")
    assert http.problem("GET", "/v1/files/past?at=yesterday") == (400, "usage")
    assert http.problem("GET", f"/v1/files/past?at={client.rev() + 100}") == (409, "future_rev")


def test_a_subtree_is_deleted_only_when_that_is_asked_for(http: Caller) -> None:
    http.put("/v1/files/tree/a", "1")
    http.put("/v1/files/tree/b/c", "1")
    assert http.problem("DELETE", "/v1/files/tree") == (409, "is_directory")
    assert http.delete("/v1/files/tree?recursive=1").status_code == 200
    assert http.problem("GET", "/v1/files/tree/a") == (404, "not_found")


def test_a_file_goes_with_its_lease(http: Caller, client: visor.Client[bytes]) -> None:
    lease = client.lease(1000, keep=False)
    http.put("/v1/files/leased", "up", headers={"visor-lease": str(lease.id)})
    assert http.get("/v1/files/leased").headers["visor-lease"] == str(lease.id)
    client.revoke(lease.id)
    assert http.problem("GET", "/v1/files/leased") == (404, "not_found")
    assert http.problem("PUT", "/v1/files/leased", headers={"visor-lease": "7"}) == (404, "lease_not_found")


@pytest.mark.parametrize(
    "path", ["a%2Fb", "a//b", "a/", "a/%2e%2e/b", "%ff", "%", "%2", "a%00", "a%0ab", "a%20b", "a\\b"]
)
def test_what_is_no_canonical_path_is_refused_and_not_repaired(http: Caller, path: str) -> None:
    request = http.build_request("PUT", "/v1/files/x", content=b"1")
    request.url = request.url.copy_with(raw_path=f"/v1/files/{path}".encode())
    answer = http.send(request)
    assert (answer.status_code, answer.json()["code"]) == (422, "bad_path")


def test_names_are_decoded_once(http: Caller, client: visor.Client[bytes]) -> None:
    http.put("/v1/files/odd/%252F", "a percent sign")
    assert client.get("/odd/%2F").value == b"a percent sign"
    http.put("/v1/files/odd/%C3%A9", "a letter")
    assert client.get("/odd/é").value == b"a letter"
    http.put("/v1/files/odd/a+b=c", "signs")
    assert client.get("/odd/a+b=c").value == b"signs"


def test_what_is_wrong_is_named(http: Caller) -> None:
    assert http.problem("GET", "/v1/files/a?att=3") == (400, "usage")
    assert http.problem("GET", "/v1/files/a?at=1&at=2") == (400, "usage")
    assert http.problem("POST", "/v1/files/a") == (405, "method")
    assert http.request("POST", "/v1/files/a").headers["allow"] == "DELETE, GET, HEAD, PUT"
    assert http.problem("GET", "/v1/nothing") == (404, "no_route")
    assert http.problem("PUT", "/v1/files/a", headers={"if-match": "7"}) == (400, "usage")
    assert http.problem("PUT", "/v1/files/a", headers={"if-match": '"7", "8"'}) == (400, "usage")
    assert http.problem("PUT", "/v1/files/a", headers={"content-encoding": "gzip"}) == (415, "media_type")
    assert http.problem("PUT", "/v1/files/a", content=b"x" * (4 << 20) + b"y") == (413, "body_too_large")
    http.put("/v1/files/wrong", "1")
    assert http.problem("GET", "/v1/files/wrong", headers={"accept": "image/png"}) == (406, "not_acceptable")


def test_nobody_reads_below_what_was_written(http: Caller) -> None:
    rev = http.put("/v1/files/min", "1").json()["rev"]
    assert http.get(f"/v1/files/min?min_rev={rev}&consistency=stale").text == "1"
    assert http.problem("GET", f"/v1/files/min?min_rev={rev + 1000}") == (409, "future_rev")
