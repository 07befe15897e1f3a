"""The description is true: whatever is made up from it is answered as it says, and every route is seen to work.

Requests come from schemathesis, which reads the description that the gateway serves: the edges of each parameter one by
one, then whatever it can think of, right and wrong. The seed is fixed. `VISOR_SOAK=20 HYPOTHESIS_PROFILE=explore` tries
far more, and other things each time.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable

import visor
from tests.gateway.running import Caller, Running
from tests.patience import LONG_TTL
from visor.gateway import accept, openapi
from visor.gateway.routes import ROUTES
from visor.testing import Server

WHY = "NO TESTS OF THE DESCRIPTION: schemathesis and openapi-spec-validator are not installed"
schemathesis = pytest.importorskip("schemathesis", reason=WHY)
validator = pytest.importorskip("openapi_spec_validator", reason=WHY)

from schemathesis.checks import not_a_server_error  # noqa: E402
from schemathesis.generation.modes import GenerationMode  # noqa: E402
from schemathesis.specs.openapi import checks  # noqa: E402

DESCRIBED: dict[str, Any] = json.loads(json.dumps(openapi.describe(ROUTES)))
SCHEMA = schemathesis.openapi.from_dict(DESCRIBED)
OPERATIONS = [result.ok() for result in SCHEMA.get_all_operations()]
STREAMS = {openapi.name_of(route) for route in ROUTES if route.streams} | {"watching_watch"}
"""They never end by themselves: `test_streams_are_as_described` reads what they begin with."""
ENDING = [each for each in OPERATIONS if each.definition.raw["operationId"] not in STREAMS]
CHECKS = [
    not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_headers_conformance,
    checks.response_schema_conformance,
    checks.negative_data_rejection,
]
FACTOR = float(os.environ.get("VISOR_SOAK", "1"))
EXAMPLES = int(8 * FACTOR)
THERE = ("s/file", "s", "s/binary", "s/gone", "l/db")
"""Paths where something is: what is made up hits none of it."""
MODES = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]


@pytest.fixture(scope="module", autouse=True)
def something(registry: Server) -> None:
    """There is something of each kind."""
    with registry.dial() as client:
        client.set("/s/file", b"value", note="first")
        client.set("/s/file", b"changed")
        client.set("/s/binary", b"\xff\x00")
        client.set("/s/gone", b"")
        client.delete("/s/gone")
        domain = visor.registry.Registry(client)
        domain.init()
        app = domain.register_app("git://web", "trusty", "web")
        app.register_revision("v1")
        app.register_proc("worker")
        domain.scale("web", "v1", "worker", 2)
        domain.snapshot().instances()[0].claim("h1").started(port=8000, ip="10.0.0.1")
        domain.snapshot().new_service("search").register().register_endpoint("s1.example:80")


@pytest.fixture(scope="module", autouse=True)
def nobody_waits() -> Iterator[None]:
    """A made-up duration may be long."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("visor.gateway.locks.MOST_WAIT", 0.01)
        yield


def test_the_description_is_openapi() -> None:
    validator.validate(DESCRIBED)


@pytest.mark.parametrize("operation", ENDING, ids=lambda each: each.label)
def test_the_edges_of_each_parameter_are_answered_as_described(operation: Any, running: Running) -> None:
    cases = SCHEMA.iter_coverage_cases(
        operation, generation_modes=MODES, generation_config=SCHEMA.config.generation_for(operation=operation)
    )
    for case in cases:
        case.call_and_validate(base_url=running.url, checks=CHECKS)


def made_up(operation: Any, mode: Any, *more: Any) -> Any:
    """Return what runs a test with requests of an operation that are made up."""

    def run(test: Any) -> None:
        chosen = settings(
            max_examples=EXAMPLES,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
            database=None,
        )
        chosen(given(operation.as_strategy(generation_mode=mode), *more)(test))()

    return run


@pytest.mark.parametrize("operation", ENDING, ids=lambda each: each.label)
def test_whatever_is_made_up_is_answered_as_described(operation: Any, running: Running) -> None:
    @made_up(operation, GenerationMode.POSITIVE, st.sampled_from((None, None, *THERE)))
    def ask(case: Any, there: str | None) -> None:
        if there is not None and "path" in (case.path_parameters or {}):
            case.path_parameters["path"] = there
        case.call_and_validate(base_url=running.url, checks=CHECKS)


@pytest.mark.soak
@pytest.mark.parametrize("operation", ENDING, ids=lambda each: each.label)
def test_whatever_is_made_up_wrongly_is_refused_as_described(operation: Any, running: Running) -> None:
    """The edges of each parameter have what is wrong with each by itself: this is all at once, and slow to make up."""
    with contextlib.suppress(Unsatisfiable):  # nothing can be wrong with a text

        @made_up(operation, GenerationMode.NEGATIVE)
        def ask(case: Any) -> None:
            case.call_and_validate(base_url=running.url, checks=CHECKS)


@pytest.mark.parametrize(
    "operation", [each for each in OPERATIONS if each not in ENDING], ids=lambda each: each.label
)
def test_streams_are_as_described(operation: Any, http: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "visor.gateway.watching.MARK_SECONDS", 0.01
    )  # something is told, whatever is asked for

    @made_up(operation, GenerationMode.POSITIVE, st.sampled_from((accept.EVENTS, accept.LINES)))
    def ask(case: Any, form: str) -> None:
        asked = case.as_transport_kwargs(base_url=str(http.base_url))
        query = asked.get("params") or {}
        if "wait" in query:
            query["wait"] = "1ms"
        headers = httpx.Headers(asked.get("headers"))
        headers["accept"] = form
        with http.stream(
            asked["method"], asked["url"], params=query, json=asked.get("json"), headers=headers
        ) as answer:
            status, kind = answer.status_code, answer.headers["content-type"]
            assert status < 500, answer.read()
            assert status == 200 or str(status) in operation.definition.raw["responses"]
            assert kind == (form if status == 200 else "application/problem+json") or "after" in query
            next(answer.iter_bytes())


# -- each route, seen to work ---------------------------------------------------------------------------------
Asked = tuple[str, str, dict[str, Any]]


def plainly(http: Caller, client: visor.Client[bytes]) -> dict[str, Asked]:
    """Return for each operation a request that has to succeed: method, URL, and what else goes with it."""
    lease = http.post("/v1/leases", json={"ttl": LONG_TTL}).json()["lease"]
    other, third = (http.post("/v1/leases", json={"ttl": LONG_TTL}).json()["lease"] for _ in range(2))
    http.post("/v1/locks/l/db", json={"lease": lease})
    client.set("/e/gone", b"")
    client.set("/w/file", b"value", note="first")
    client.set("/w/binary", b"\xff\x00")
    client.auth.set_user("tester", ["root"])
    token = client.auth.add_token("tester")
    instance = http.get("/v1/instances").json()["instances"][0]["id"]
    rev = client.rev()
    group = {"revision": "v1", "proc": "worker"}
    return {
        "files_read": ("GET", "/v1/files/w/binary", {"headers": {"accept": accept.JSON}}),
        "files_head": ("HEAD", "/v1/files/w/file", {}),
        "files_write": ("PUT", "/v1/files/e/new", {"content": b"x"}),
        "files_delete": ("DELETE", "/v1/files/e/gone", {}),
        "reading_tree": ("GET", "/v1/tree/w?values=1", {}),
        "reading_scan": ("GET", "/v1/scan?glob=/w/**&values=1", {}),
        "reading_stat": ("GET", "/v1/stat/w", {}),
        "at_once_moment": ("GET", "/v1/moment?path=/w/file&open=/w&rows=50&place=1", {}),
        "past_commits": ("GET", "/v1/commits?values=1&previous=1", {}),
        "past_history": ("GET", "/v1/history/w?values=1&previous=1", {}),
        "past_blame": ("GET", "/v1/blame/w", {}),
        "past_diff": ("GET", "/v1/diff?a=1", {}),
        "past_density": ("GET", "/v1/density?glob=/w/**", {}),
        "writing_txn": ("POST", "/v1/txn", {"json": {"then": [{"get": "/w/file"}, {"ls": "/w"}]}}),
        "writing_revert": ("POST", "/v1/revert?dry_run=1", {"json": {"path": "/w", "to": rev}}),
        "watching_watch": ("GET", f"/v1/watch?glob=/w/**&after={rev - 1}&wait=1ms", {}),
        "watching_watch_named": ("POST", "/v1/watch?state=1", {"json": {"s": "/w/**"}}),
        "leases_grant": ("POST", "/v1/leases", {"json": {"ttl": "1m"}}),
        "leases_ls": ("GET", "/v1/leases", {}),
        "leases_show": ("GET", f"/v1/leases/{lease}", {}),
        "leases_keep": ("POST", f"/v1/leases/{lease}/keepalive", {}),
        "leases_revoke": ("DELETE", f"/v1/leases/{third}", {}),
        "locks_show": ("GET", "/v1/locks/l/db", {}),
        "locks_acquire": ("POST", "/v1/locks/l/db", {"json": {"lease": other}}),
        "locks_release": ("DELETE", f"/v1/locks/l/db?lease={lease}", {}),
        "cluster_members": ("GET", "/v1/cluster", {}),
        "cluster_health": ("GET", "/v1/cluster/health", {}),
        "cluster_status": ("GET", "/v1/status", {}),
        "cluster_rev": ("GET", "/v1/rev", {}),
        "cluster_whoami": ("GET", "/v1/whoami", {}),
        "cluster_can": ("GET", "/v1/can?right=read&glob=/**", {}),
        "domain_apps": ("GET", "/v1/apps", {}),
        "domain_app": ("GET", "/v1/apps/web", {}),
        "domain_register_app": ("PUT", "/v1/apps/new", {"json": {"repo_url": "git://new"}}),
        "domain_register_revision": ("PUT", "/v1/apps/web/revisions/v2", {"json": {}}),
        "domain_register_proc": ("PUT", "/v1/apps/web/procs/second", {"json": {}}),
        "domain_get_scale": ("GET", "/v1/apps/web/scale?revision=v1&proc=worker", {}),
        "domain_scale": ("POST", "/v1/apps/web/scale", {"json": {**group, "count": 1}}),
        "domain_instances": ("GET", "/v1/instances", {}),
        "domain_instance": ("GET", f"/v1/instances/{instance}", {}),
        "domain_tickets": ("GET", "/v1/tickets", {}),
        "domain_services": ("GET", "/v1/services", {}),
        "domain_service": ("GET", "/v1/services/search", {}),
        "domain_runners": ("GET", "/v1/runners", {}),
        "cluster_live_live": ("GET", "/v1/cluster/live?largest=3", {}),
        "watchers_watchers": ("GET", "/v1/watchers/w/file", {}),
        "signing_in_sign_in": ("POST", "/v1/session", {"json": {"token": token}}),
        "signing_in_show": ("GET", "/v1/session", {}),
        "signing_in_out": ("DELETE", "/v1/session", {}),
        "fleet_fleet": ("GET", "/v1/fleet", {}),
        "fleet_happenings": ("GET", "/v1/happenings", {}),
        "domain_events": ("GET", "/v1/events?from=1", {}),
        "domain_unregister_app": ("DELETE", "/v1/apps/web?cascade=1", {}),
        "discovery_instances": ("GET", "/v1/sd/instances", {}),
        "discovery_services": ("GET", "/v1/sd/services", {}),
    }


def test_every_route_that_looks_at_a_credential_names_its_schemes_and_no_other_does(
    http: Caller, client: visor.Client[bytes]
) -> None:
    """A token that is none is refused wherever schemes are named: who signs in or out has shown nothing yet."""
    asked = plainly(http, client)
    for each in OPERATIONS:
        told = each.definition.raw
        named = {scheme for one in told["security"] for scheme in one}
        method, url, more = asked[told["operationId"]]
        headers = {**more.get("headers", {}), "authorization": "Bearer vis_nothing"}
        answer = http.request(method, url, **{**more, "headers": headers})
        if answer.status_code == 401:
            assert named == DESCRIBED["components"]["securitySchemes"].keys(), each.label
        else:
            assert answer.is_success, answer.text
            assert named == set(), each.label


def test_every_route_works_and_answers_what_is_described(http: Caller, client: visor.Client[bytes]) -> None:
    asked = plainly(http, client)
    by_name = {each.definition.raw["operationId"]: each for each in OPERATIONS}
    assert asked.keys() == by_name.keys(), "a route without a request that has to succeed: add one"
    for name, (method, url, more) in asked.items():
        if name in STREAMS - {"watching_watch"}:
            with http.stream(method, url, **more) as stream:
                assert stream.status_code == 200, name
                continue
        answer = http.request(method, url, **more)
        assert answer.is_success, (name, answer.text)
        by_name[name].validate_response(answer)
