"""The cluster and the domain by HTTP: what `visor.registry` says, as documents."""

from __future__ import annotations

import pytest

import visor
from tests.gateway.running import Caller
from tests.gateway.test_watching import events
from visor.testing import Server


@pytest.fixture(scope="module", autouse=True)
def laid_out(registry: Server) -> None:
    with registry.dial() as client:
        visor.registry.Registry(client).init()


def test_the_cluster(http: Caller, client: visor.Client[bytes]) -> None:
    told = http.get("/v1/cluster").json()
    assert (told["cluster"], told["voters"], len(told["members"])) == (client.cluster, 1, 1)
    health = http.get("/v1/cluster/health").json()
    assert health["healthy"], health
    assert not http.get("/v1/cluster/health?expect=3").json()["healthy"]
    assert http.get("/v1/status").json()["cluster"] == client.cluster
    horizon = client.horizon()
    assert http.get("/v1/rev").json()["floor"] == horizon.floor
    assert http.get("/v1/whoami").json()["user"] == "anonymous"


def test_an_app_from_its_registration_to_its_end(http: Caller) -> None:
    assert (
        http.request("PUT", "/v1/apps/web", json={"repo_url": "git://web", "stack": "trusty"}).status_code
        == 201
    )
    assert http.problem("PUT", "/v1/apps/web", json={"repo_url": "git://web"}) == (409, "exists")
    assert (
        http.request("PUT", "/v1/apps/web/revisions/v1", json={"archive_url": "http://x"}).status_code == 201
    )
    port = http.request("PUT", "/v1/apps/web/procs/worker", json={"command": "sleep 1"}).json()["port"]
    scaled = http.post("/v1/apps/web/scale", json={"revision": "v1", "proc": "worker", "count": 2}).json()
    assert (scaled["previous"], scaled["count"], len(scaled["instances"])) == (0, 2, 2)
    before = scaled["rev"]
    assert (
        http.post("/v1/apps/web/scale", json={"revision": "v1", "proc": "worker", "by": 1}).json()["count"]
        == 3
    )
    assert http.get("/v1/apps/web/scale?revision=v1&proc=worker").json()["count"] == 3
    assert http.get(f"/v1/apps/web/scale?revision=v1&proc=worker&at={before}").json()["count"] == 2

    shown = http.get("/v1/apps/web").json()
    assert (shown["repo_url"], shown["revisions"][0]["ref"]) == ("git://web", "v1")
    assert shown["procs"][0]["port"] == port
    assert shown["groups"] == [{"revision": "v1", "proc": "worker", "env": "", "count": 3, "stopping": 0}]
    assert [app["name"] for app in http.get("/v1/apps").json()["apps"]] == ["web"]
    found = http.get("/v1/instances?app=web").json()["instances"]
    assert [one["state"] for one in found] == ["pending"] * 3
    assert http.get(f"/v1/instances/{found[0]['id']}").json()["id"] == found[0]["id"]
    assert len(http.get("/v1/tickets").json()["tickets"]) == 3
    assert http.get("/v1/services").json()["services"] == http.get("/v1/runners").json()["runners"] == []

    assert http.problem("DELETE", "/v1/apps/web") == (409, "in_use")
    assert http.delete("/v1/apps/web?cascade=1").status_code == 200
    assert http.problem("GET", "/v1/apps/web") == (404, "not_found")


def test_events_of_a_commit_come_together(http: Caller, client: visor.Client[bytes]) -> None:
    registry = visor.registry.Registry(client)
    with events(http, "/v1/events?app=shop") as stream:
        app = registry.register_app("git://shop", "trusty", "shop")
        app.register_revision("v1")
        app.register_proc("web")
        registry.scale("shop", "v1", "web", 2)
        found = [next(stream) for _ in range(4)]
    types = [[event["type"] for event in each["data"]["events"]] for each in found]
    assert types[0] == ["app-register"]
    assert len(types[3]) == 2
    assert found[0]["id"] == f"{client.cluster}:{found[0]['data']['rev']}"
    resumed = {"last-event-id": found[2]["id"]}
    with events(http, "/v1/events?app=shop", headers=resumed) as stream:
        assert next(stream)["data"] == found[3]["data"]


def test_what_is_not_there_or_not_meant(http: Caller) -> None:
    assert http.problem("GET", "/v1/apps/none") == (404, "not_found")
    assert http.problem("GET", "/v1/instances/x") == (400, "bad_request")
    assert http.problem("GET", "/v1/instances/999999")[0] == 404
    group = {"revision": "v1", "proc": "w"}
    for body in ({}, group, {**group, "count": 1, "by": 1}, {"revision": 1}):
        assert http.problem("POST", "/v1/apps/none/scale", json=body) == (400, "usage")
    assert http.problem("PUT", "/v1/apps/Not%20A%20Name", json={"repo_url": "x"})[0] == 422
