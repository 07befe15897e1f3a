"""The description and the pages: made from the table of routes, nothing from outside, and each problem has its page."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.gateway.running import Caller
from visor.gateway import openapi, problems
from visor.gateway.routes import ROUTES


@pytest.fixture(scope="module")
def described() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(json.dumps(openapi.describe(ROUTES)))
    return found


def test_every_route_is_described(described: dict[str, Any], http: Caller) -> None:
    there = {(method.upper(), path) for path, methods in described["paths"].items() for method in methods}
    assert there == {(route.method, route.template) for route in ROUTES}
    assert http.get("/openapi.json").json() == described


def test_operations_have_names_of_their_own_and_what_is_named_is_there(described: dict[str, Any]) -> None:
    operations = [each for methods in described["paths"].values() for each in methods.values()]
    names = [each["operationId"] for each in operations]
    assert len(names) == len(set(names))
    for reference in re.findall(r'"\$ref": "#/components/(\w+)/(\w+)"', json.dumps(described)):
        assert reference[1] in described["components"][reference[0]]
    for path, methods in described["paths"].items():
        for each in methods.values():
            inside = {one["name"] for one in each["parameters"] if one["in"] == "path"}
            assert inside == set(re.findall(r"\{(\w+)\}", path))
            assert all(one["description"] and one["schema"] for one in each["parameters"])


def test_every_status_of_a_problem_is_described() -> None:
    assert {status for status, _, _ in problems.pages().values()} <= {*openapi.STATUSES, 405}


def test_every_route_answers_something_that_is_described(http: Caller, described: dict[str, Any]) -> None:
    """Whatever is asked in a plain way is done, or a problem; nothing fails in an unforeseen way."""
    for route in ROUTES:
        url = re.sub(r"\{\w+\}", "1", route.template)
        if route.group in ("watch",) or "events" in url:
            continue
        for more in ({}, {"json": {}}, {"content": b"{", "headers": {"content-type": "application/json"}}):
            answer = http.request(route.method, url, **more)  # type: ignore[arg-type]
            status = str(answer.status_code)
            known = described["paths"][route.template][route.method.lower()]["responses"]
            assert status in known or ("2XX" in known and status.startswith("2")), (route, answer.text)
            assert answer.status_code != 500, (route, answer.text)


def test_pages_take_nothing_from_outside_and_run_no_script(http: Caller) -> None:
    for path in ("/docs", "/docs/problems", "/docs/problems/compacted"):
        answer = http.get(path)
        assert answer.status_code == 200
        assert "<script" not in answer.text
        assert not re.search(r"""(?:src|href)=["'](?!/)""", answer.text)
        assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert http.get("/docs/style.css").headers["content-type"].startswith("text/css")


def test_the_type_of_each_problem_is_a_page(http: Caller) -> None:
    for url in ("/v1/files/nowhere", "/v1/files/a?at=x", "/v1/files/a//b", "/v1/nothing", "/v1/leases/9"):
        told = http.get(url).json()
        page = http.get(told["type"])
        assert page.status_code == 200
        assert str(told["status"]) in page.text
    for code in problems.pages():
        assert http.get(problems.PAGES + code).status_code == 200


def test_what_never_changes_is_sent_packed_to_who_takes_that_and_not_again_to_who_has_it(
    http: Caller,
) -> None:
    """Each form has its own entity tag: a cache that mixed them would give somebody what they cannot read."""
    for path in ("/", "/console/main.js", "/console/console.css", "/docs/runbook", "/openapi.json"):
        plain = http.get(path, headers={"accept-encoding": "identity"})
        packed = http.get(path, headers={"accept-encoding": "br, gzip"})
        assert "content-encoding" not in plain.headers
        assert packed.headers["content-encoding"] == "gzip"
        assert packed.content == plain.content  # unpacked by the caller
        sizes = [int(each.headers["content-length"]) for each in (packed, plain)]
        assert sizes[0] < sizes[1] == len(plain.content)
        assert plain.headers["etag"] != packed.headers["etag"]
        for each, coding in ((plain, "identity"), (packed, "gzip")):
            assert each.headers["vary"] == "accept-encoding"
            asked = {"accept-encoding": coding}
            head = http.head(path, headers=asked)
            assert (head.headers["content-length"], head.headers["etag"], head.content) == (
                each.headers["content-length"],
                each.headers["etag"],
                b"",
            )
            again = http.get(path, headers={**asked, "if-none-match": each.headers["etag"]})
            assert (again.status_code, again.content, again.headers["etag"]) == (
                304,
                b"",
                each.headers["etag"],
            )
            assert "content-security-policy" in again.headers
        other = http.get(path, headers={"accept-encoding": "gzip", "if-none-match": plain.headers["etag"]})
        assert other.status_code == 200, "what they have is the other form"
    assert "content-encoding" not in http.get("/healthz", headers={"accept-encoding": "gzip"}).headers


def test_who_takes_nothing_packed_gets_it_as_it_is(http: Caller) -> None:
    for coding in ("", "gzip;q=0", "br", "*;q=0", "gzip;q=0.0, *"):
        assert (
            "content-encoding"
            not in http.get("/console/main.js", headers={"accept-encoding": coding}).headers
        )
