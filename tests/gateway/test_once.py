"""A write with an Idempotency-Key happens once, however often it is sent, and through whichever gateway."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

import visor
from tests.gateway.running import Caller, Running, gateway
from visor.testing import Server


@pytest.fixture(scope="module")
def other(registry: Server) -> Iterator[Running]:
    with gateway(registry.address) as one:
        yield one


def key(text: str, **more: str) -> dict[str, str]:
    return {"idempotency-key": text, **more}


def test_a_write_that_is_sent_again_through_another_gateway_is_the_same_one(
    http: Caller, other: Running, client: visor.Client[bytes]
) -> None:
    first = http.put("/v1/files/once", "1", headers=key('"k-1"'))
    with Caller(other.url) as elsewhere:
        second = elsewhere.put("/v1/files/once", "1", headers=key("k-1"))
        third = elsewhere.put("/v1/files/once", "1", headers=key("k-2"))
    assert first.json() == second.json()
    assert third.json()["rev"] == first.json()["rev"] + 1
    assert len(list(client.history("/once"))) == 2


def test_a_refusal_is_remembered_too(http: Caller, other: Running, client: visor.Client[bytes]) -> None:
    client.set("/refused", b"there")
    headers = key("k-refused", **{"if-none-match": "*"})
    assert http.problem("PUT", "/v1/files/refused", content="1", headers=headers) == (412, "exists")
    client.delete("/refused")
    with Caller(other.url) as elsewhere:
        assert elsewhere.problem("PUT", "/v1/files/refused", content="1", headers=headers) == (412, "exists")
    assert not client.exists("/refused")


def test_many_that_send_it_at_once_are_told_the_same(
    http: Caller, other: Running, client: visor.Client[bytes]
) -> None:
    def send(number: int) -> int:
        with Caller((http.base_url, other.url)[number % 2].__str__()) as caller:
            answer = caller.put("/v1/files/race", "1", headers=key("k-race", **{"if-none-match": "*"}))
            rev: int = answer.json()["rev"]
            return rev

    with ThreadPoolExecutor(8) as pool:
        revs = set(pool.map(send, range(16)))
    assert revs == {client.get("/race").mod_rev}


def test_transactions_deletions_and_reverts_take_a_key(http: Caller, client: visor.Client[bytes]) -> None:
    rev = client.set("/all/a", b"1")
    body: dict[str, Any] = {"then": [{"set": "/all/b", "value": "1"}, {"get": "/all/a"}]}
    told = [http.post("/v1/txn", json=body, headers=key("k-txn")).json() for _ in range(2)]
    assert told[0] == told[1]
    told = [http.delete("/v1/files/all/b", headers=key("k-del")).json() for _ in range(2)]
    assert told[0] == told[1]
    back = [
        http.post("/v1/revert", json={"path": "/all", "to": rev}, headers=key("k-rev")).json()
        for _ in range(2)
    ]
    assert back[0] == back[1]


def test_a_key_is_for_one_write_alone(http: Caller) -> None:
    http.put("/v1/files/reused", "1", headers=key("k-reused"))
    assert http.problem("PUT", "/v1/files/reused", content="2", headers=key("k-reused")) == (
        422,
        "key_reused",
    )
    for wrong in (b"", b'""', b"\xc3\xa9", b"x" * 300):
        headers = {b"idempotency-key": wrong}
        assert http.problem("PUT", "/v1/files/reused", content="2", headers=headers) == (400, "usage")
    assert http.get("/v1/files/reused", headers=key("k-reused")).text == "1"
