"""What a screen of the fleet is drawn from: all at one rev, what led there, and a scale that is seen beforehand."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

import visor
from tests.gateway.running import Caller, gateway
from visor import views
from visor.auth import Grant
from visor.registry import Instance, Presence, Registry, roles
from visor.testing import Server, server

GROUP = {"revision": "v1", "proc": "web"}


@pytest.fixture(scope="module", autouse=True)
def laid_out(registry: Server) -> None:
    with registry.dial() as client:
        domain = Registry(client)
        domain.init()
        app = domain.register_app("git://shop", "trusty", "shop")
        app.register_revision("v1")
        app.register_proc("web")


@pytest.fixture
def domain(client: visor.Client[bytes]) -> Iterator[Registry]:
    yield Registry(client)
    Registry(client).scale("shop", "v1", "web", 0)
    for each in Registry(client).snapshot().instances("shop"):
        each.unregister()


def started(domain: Registry, host: str | Presence) -> Instance:
    ticket = domain.claim_ticket(host)
    assert ticket is not None
    assert ticket.instance is not None
    return ticket.instance.started(ip="10.0.0.1", port=8000)


def states(told: dict[str, list[dict[str, object]]]) -> list[object]:
    return [each["state"] for each in told["instances"]]


def test_everything_is_of_one_rev_also_of_a_past_one(http: Caller, domain: Registry) -> None:
    domain.scale("shop", "v1", "web", 3)
    before = domain.client.rev()
    with domain.attend("h1", 30) as host:
        running = started(domain, host)
        domain.claim_ticket("h2")
        service = domain.snapshot().new_service("shop").register()
        service.register_endpoint("10.0.0.1:8000")
        service.register_endpoint("10.0.0.9:80")
        with views.announce(domain.client, "10.0.0.1", 8000):
            domain.client.set("/views/odd", b"?")
            told = http.get("/v1/fleet").json()
    assert told["rev"] > before
    assert sorted(map(str, states(told))) == ["claimed", "pending", "running"]
    assert told["groups"][0]["target"] == 3
    assert [each["ref"] for each in told["revisions"]] == ["v1"]
    assert {each["host"]: each.get("lease") for each in told["hosts"]} == {"h1": host.lease}
    ticket = {each["status"]: each for each in told["tickets"]}
    assert (ticket["claimed"]["host"], ticket["unclaimed"]["host"]) == ("h2", None)
    assert ticket["claimed"]["since"].endswith("Z")
    served = {each["addr"]: (each["instance"], each["state"]) for each in told["endpoints"]}
    assert served == {"10.0.0.1:8000": (running.id, "running"), "10.0.0.9:80": (None, None)}
    odd, view = sorted(told["views"], key=lambda each: "problem" not in each)
    assert "problem" in odd
    assert (view["instance"], view["lease"] > 0) == (running.id, True)
    assert (told["denied"], told["left_out"]) == ([], {})
    # The lease is gone, and what was running with it is lost.
    assert sorted(map(str, states(http.get("/v1/fleet").json()))) == ["claimed", "lost", "pending"]
    then = http.get(f"/v1/fleet?at={before}")
    assert states(then.json()) == ["pending"] * 3
    assert (then.json()["hosts"], then.json()["services"], then.json()["views"]) == ([], [], [])
    assert "immutable" in then.headers["cache-control"]
    lost = http.get(f"/v1/instances/{running.id}").json()
    assert (lost["state"], lost["end"][0]) == ("lost", "lease")
    assert lost["files"][0] == f"/apps/shop/instances/v1/web/_/{running.id:015d}"


def test_what_happened_is_told_backwards_in_portions(http: Caller, domain: Registry) -> None:
    start = domain.client.rev()
    domain.scale("shop", "v1", "web", 2)
    domain.client.set("/elsewhere", b"")
    running = started(domain, "h1")
    at = running.rev
    domain.client.set("/elsewhere", b"")
    query = f"/v1/happenings?from={start + 1}&app=shop"
    told = http.get(query).json()
    assert [(each["type"], each["path"]["instance"]) for each in told["events"]][:2] == [
        ("instance-start", running.id),
        ("instance-state-change", running.id),
    ]
    assert [each["type"] for each in told["events"]][2:] == ["instance-register"] * 2
    assert told["next"] is None
    first = http.get(f"{query}&limit=1").json()
    rest = http.get(f"{query}&at={first['next']}").json()
    assert [*first["events"], *rest["events"]] == told["events"]
    starts = http.get(f"/v1/happenings?at={at}&type=instance-start&limit=1").json()
    assert [each["rev"] for each in starts["events"]] == [at]
    assert http.problem("GET", "/v1/happenings?type=nothing") == (400, "usage")
    assert http.get(f"/v1/happenings?at={start}&from={start + 1}").json()["events"] == []


def test_a_scale_is_seen_before_it_is_done_and_done_only_to_what_was_seen(
    http: Caller, domain: Registry
) -> None:
    url = "/v1/apps/shop/scale"
    grown = http.post(f"{url}?dry_run=1", json={**GROUP, "count": 3, "expect": 0}).json()
    assert (grown["previous"], grown["count"], grown["register"], grown["going"]) == (0, 3, 3, [])
    assert domain.get_scale("shop", "v1", "web").count == 0
    assert http.post(url, json={**GROUP, "count": 3, "expect": 0}).json()["count"] == 3
    for dry in ("", "?dry_run=1"):
        assert http.problem("POST", url + dry, json={**GROUP, "count": 5, "expect": 0}) == (409, "rejected")
    running = started(domain, "h1")
    told = http.post(f"{url}?dry_run=1", json={**GROUP, "by": -3}).json()
    moves = {each["id"]: each["move"] for each in told["going"]}
    assert len(moves) == 3
    assert moves.pop(running.id) == "stop"
    assert set(moves.values()) == {"unregister"}
    assert http.problem("POST", f"{url}?dry_run=1", json={**GROUP, "by": -4}) == (400, "bad_request")
    assert http.problem("POST", f"{url}?dry_run=1", json={**GROUP, "proc": "none", "count": 1})[0] == 404
    assert http.problem("POST", url, json={**GROUP, "count": 1, "expect": -1}) == (400, "usage")
    done = http.post(url, json={**GROUP, "count": 0, "expect": 3}).json()
    assert set(done["instances"]) == {each["id"] for each in told["going"]}


def test_what_may_not_be_read_is_left_out_and_named() -> None:
    with server() as closed, closed.dial() as client:
        Registry(client).init()
        Registry(client).register_app("git://shop", "trusty", "shop").register_revision("v1")
        client.auth.set_role("part", [Grant("read", "/apps/**"), *roles.deployer("shop")])
        client.auth.set_user("some", ["part"])
        client.auth.set_user("boss", ["root"])
        token = client.auth.add_token("some")
        client.auth.set_user("anonymous", [])
        with gateway(closed.address) as running, Caller(running.url, authorization=f"Bearer {token}") as http:
            told = http.get("/v1/fleet").json()
            assert [each["name"] for each in told["apps"]] == ["shop"]
            assert {"services", "views", "hosts"} <= set(told["denied"])
            assert http.get("/v1/can?right=write&glob=/apps/shop/**").json()["allowed"]
            refused = http.get("/v1/can?right=write&glob=/apps/other/**").json()
            assert (refused["allowed"], "/apps/other" in refused["missing"]) == (False, True)
            assert http.problem("GET", "/v1/can?right=write&glob=x") in ((400, "usage"), (422, "bad_path"))
