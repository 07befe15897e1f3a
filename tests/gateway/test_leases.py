"""Leases and locks by HTTP: kept by who asks, in the same queues as those of the clients."""

from __future__ import annotations

import threading
from typing import Any

import visor
from tests.gateway.running import Caller
from tests.patience import LONG_TTL


def grant(http: Caller) -> int:
    answer = http.post("/v1/leases", json={"ttl": LONG_TTL})
    assert answer.status_code == 201, answer.text
    lease: int = answer.json()["lease"]
    assert answer.headers["location"] == f"/v1/leases/{lease}"
    return lease


def acquire(http: Caller, path: str, lease: int, status: int = 200, **more: Any) -> dict[str, Any]:
    answer = http.post(f"/v1/locks{path}", json={"lease": lease, **more})
    assert answer.status_code == status, answer.text
    told: dict[str, Any] = answer.json()
    assert told["held"] == (status == 200)
    return told


def test_a_lease_from_its_grant_to_its_end(http: Caller, client: visor.Client[bytes]) -> None:
    lease = grant(http)
    client.set("/leases/a", b"up", lease=lease)
    told = http.get(f"/v1/leases/{lease}").json()
    assert (told["ttl"], told["files"], told["paths"]) == (LONG_TTL, 1, ["/leases/a"])
    assert 0 < told["left"] <= LONG_TTL
    assert http.post(f"/v1/leases/{lease}/keepalive").json() == {"lease": lease, "ttl": LONG_TTL}
    assert lease in [each["lease"] for each in http.get("/v1/leases").json()["items"]]
    rev = http.delete(f"/v1/leases/{lease}", headers={"visor-note": "over"}).json()["rev"]
    assert next(client.history("/leases/a", first=rev)).note == "over"
    for method, url in (("GET", ""), ("POST", "/keepalive"), ("DELETE", "")):
        assert http.problem(method, f"/v1/leases/{lease}{url}") == (404, "lease_not_found")
    assert http.problem("GET", "/v1/leases/nonsense") == (404, "lease_not_found")


def test_a_lease_of_ones_own_number_and_wrong_ones(http: Caller) -> None:
    number = (1 << 48) + 7
    assert http.post("/v1/leases", json={"ttl": "1m", "id": number}).json() == {"lease": number, "ttl": 60}
    assert http.problem("POST", "/v1/leases", json={"ttl": 60, "id": number}) == (409, "lease_exists")
    for ttl in (0, -1, "soon", True, None, 1e300):
        assert http.problem("POST", "/v1/leases", json={"ttl": ttl})[0] == 400
    assert http.problem("POST", "/v1/leases", json={"tll": 5}) == (400, "usage")


def test_a_granted_lease_is_granted_once_by_its_key(http: Caller) -> None:
    headers = {"idempotency-key": "grant"}
    told = [http.post("/v1/leases", json={"ttl": LONG_TTL}, headers=headers).json() for _ in range(2)]
    assert told[0] == told[1]


def test_a_lock_goes_from_one_to_the_next(http: Caller, client: visor.Client[bytes]) -> None:
    first, second = grant(http), grant(http)
    held = acquire(http, "/locks/db", first)
    waits = acquire(http, "/locks/db", second, 202)
    assert waits["ahead"][0]["lease"] == first
    assert acquire(http, "/locks/db", second, 202)["fence"] == waits["fence"], "it keeps its place"
    told = http.get("/v1/locks/locks/db").json()
    assert ([one["lease"] for one in told["holders"]], [one["lease"] for one in told["waiting"]]) == (
        [first],
        [second],
    )

    body = {
        "if": [{"kind": "rev", "path": held["file"], "rev": held["fence"]}],
        "then": [{"set": "/locks/primary", "value": "1"}],
    }
    assert http.post("/v1/txn", json=body).json()["succeeded"]
    another = held["fence"] + 1000
    assert http.problem("DELETE", f"/v1/locks/locks/db?lease={first}&fence={another}")[0] == 409
    assert http.delete(f"/v1/locks/locks/db?lease={first}&fence={held['fence']}").status_code == 200
    assert not http.post("/v1/txn", json=body).json()["succeeded"], "it is not held any more"
    assert acquire(http, "/locks/db", second)["fence"] == waits["fence"] > held["fence"]


def test_who_waits_is_told_as_soon_as_it_holds_the_lock(http: Caller, client: visor.Client[bytes]) -> None:
    first, second = grant(http), grant(http)
    acquire(http, "/locks/wait", first)
    ending = threading.Timer(0.01, lambda: client.revoke(first))
    ending.start()
    assert acquire(http, "/locks/wait", second, wait="60s")["held"]
    ending.join()


def test_it_is_the_same_queue_as_that_of_clients(http: Caller, client: visor.Client[bytes]) -> None:
    with client.session(LONG_TTL) as session:
        lock = session.lock("/locks/both", delay=0.01)
        lock.acquire()
        lease = grant(http)
        assert acquire(http, "/locks/both", lease, 202)["ahead"][0]["lease"] == session.id
        client.delete(next(iter(lock.contenders())).path)  # it goes without a word: its delay has to pass
        assert acquire(http, "/locks/both", lease, wait="60s")["held"]
        assert session.lock("/locks/both").try_acquire() is None


def test_shared_locks_are_held_together(http: Caller) -> None:
    leases = [grant(http) for _ in range(3)]
    acquire(http, "/locks/shared", leases[0], shared=True)
    acquire(http, "/locks/shared", leases[1], shared=True)
    acquire(http, "/locks/shared", leases[2], 202)
    assert len(http.get("/v1/locks/locks/shared").json()["holders"]) == 2


def test_what_is_no_lock_is_refused(http: Caller, client: visor.Client[bytes]) -> None:
    lease = grant(http)
    assert http.problem("POST", "/v1/locks/", json={"lease": lease}) == (422, "bad_path")
    assert http.problem("POST", "/v1/locks/locks/x", json={}) == (400, "usage")
    assert http.problem("POST", "/v1/locks/locks/x", json={"lease": lease + 1000}) == (404, "lease_not_found")
    assert http.problem("POST", "/v1/locks/locks/x", json={"lease": lease, "shared": 1}) == (400, "usage")
    with client.session(LONG_TTL) as session, session.party("/locks/party", b"me"):
        assert http.problem("POST", "/v1/locks/locks/party", json={"lease": lease}) == (409, "wrong_queue")
