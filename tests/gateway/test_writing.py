"""Transactions and reverts by HTTP: whole or not at all; a dry run shows what would change, and changes nothing."""

from __future__ import annotations

from typing import Any

import pytest

import visor
from tests.gateway.running import Caller


def txn(http: Caller, *, dry_run: bool = False, **body: Any) -> dict[str, Any]:
    answer = http.post("/v1/txn", params={"dry_run": 1} if dry_run else None, json=body)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def test_a_transaction_happens_as_a_whole(http: Caller, client: visor.Client[bytes]) -> None:
    client.set("/t/old/a", b"1")
    told = txn(
        http,
        **{"if": [{"kind": "missing", "path": "/t/x"}], "note": "both"},
        then=[
            {"set": "/t/x", "value": "1"},
            {"set": "/t/y", "value_base64": "/w=="},
            {"delete": "/t/old", "recursive": True},
            {"get": "/t/y"},
            {"ls": "/t"},
        ],
    )
    assert told["succeeded"]
    assert told["results"][3]["value_base64"] == "/w=="
    assert told["results"][4] == [{"name": "x", "kind": "file"}, {"name": "y", "kind": "file"}]
    commit = next(client.history("/t/x"))
    assert (commit.rev, commit.note, len(commit.changes)) == (told["rev"], "both", 1)
    assert not client.exists("/t/old")


def test_else_runs_where_a_guard_does_not_hold(http: Caller, client: visor.Client[bytes]) -> None:
    rev = client.set("/e/x", b"1")
    told = txn(
        http,
        guards=[{"kind": "rev", "path": "/e/x", "rev": rev - 1}],
        then=[{"set": "/e/x", "value": "2"}],
        **{"else": [{"get": "/e/x"}]},
    )
    assert (told["succeeded"], told["results"][0]["value"]) == (False, "1")


def test_a_dry_run_shows_what_the_transaction_then_does(http: Caller, client: visor.Client[bytes]) -> None:
    client.set("/d/keep", b"same")
    client.set("/d/change", b"before")
    client.set("/d/tree/a", b"1")
    client.set("/d/tree/b", b"2")
    rev = client.rev()
    body = {
        "if": [{"kind": "exists", "path": "/d/keep"}, {"kind": "value", "path": "/d/keep", "value": "same"}],
        "then": [
            {"set": "/d/keep", "value": "same"},
            {"set": "/d/change", "value": "after"},
            {"set": "/d/new", "value": "new"},
            {"delete": "/d/tree", "recursive": True},
            {"set": "/d/tree/b", "value": "again"},
        ],
    }
    dry = txn(http, dry_run=True, **body)
    assert (client.rev(), dry["rev"], dry["succeeded"]) == (rev, rev, True)
    done = txn(http, **body)
    real = {each.path: (each.kind.value, each.after_data) for each in client.diff(rev, done["rev"], "/d/**")}
    shown = {
        each["path"]: (each["kind"], each["after"] and each["after"]["value"].encode())
        for each in dry["changes"]
    }
    assert shown == {path: what for path, what in real.items() if path != "/d/keep"}


def test_what_would_fail_fails_in_a_dry_run_too(http: Caller) -> None:
    for step in ({"delete": "/nowhere"}, {"delete": "/nowhere", "recursive": True}):
        assert http.problem("POST", "/v1/txn?dry_run=1", json={"then": [step]}) == (404, "not_found")
        assert http.problem("POST", "/v1/txn", json={"then": [step]}) == (404, "not_found")


@pytest.mark.parametrize(
    "body",
    [
        {},
        [],
        {"then": {}},
        {"then": [1]},
        {"then": [{}]},
        {"then": [{"set": "/a"}]},
        {"then": [{"set": "/a", "value": "x", "value_base64": "eA=="}]},
        {"then": [{"set": "/a", "value": 1}]},
        {"then": [{"set": "/a", "value_base64": "?"}]},
        {"then": [{"set": "/a", "value_file": "/etc/passwd"}]},
        {"then": [{"get": "/a", "set": "/a", "value": ""}]},
        {"then": [{"delete": "/a", "recursive": "yes"}]},
        {"if": [{"kind": "rev", "path": "/a"}], "then": []},
        {"if": [{"kind": "rev", "path": "/a", "rev": True}]},
        {"if": [{"kind": "odd", "path": "/a"}]},
        {"if": [{"kind": ["rev"], "path": "/a"}]},
        {"if": [], "guards": []},
        {"then": [{"get": "/a"}], "note": 1},
        {"than": []},
    ],
)
def test_what_is_no_transaction_is_refused_in_words(http: Caller, body: Any) -> None:
    assert http.problem("POST", "/v1/txn", json=body) == (400, "usage")


def test_a_body_must_say_that_it_is_json(http: Caller) -> None:
    """A form of another site may send text, but not this type without being asked about it first."""
    headers = {"content-type": "text/plain"}
    assert http.problem("POST", "/v1/txn", content=b"{}", headers=headers) == (415, "media_type")
    headers = {"content-type": "application/json"}
    for body in (b"{", b"\xff", b'{"a": NaN}', b"[" * 100_000):
        assert http.problem("POST", "/v1/txn", content=body, headers=headers) == (400, "usage")


def test_a_revert_brings_a_subtree_back(http: Caller, client: visor.Client[bytes]) -> None:
    client.set("/r/a", b"1")
    rev = client.set("/r/b", b"1")
    client.set("/r/a", b"2")
    client.delete("/r/b")
    dry = http.post("/v1/revert?dry_run=1", json={"path": "/r", "to": rev}).json()
    assert {each["path"]: each["kind"] for each in dry["changes"]} == {"/r/a": "update", "/r/b": "create"}
    assert client.get("/r/a").value == b"2"
    seen = dry["rev"]
    client.set("/r/c", b"3")
    body = {"path": "/r", "to": rev, "since": seen, "note": "back"}
    assert http.problem("POST", "/v1/revert", json=body) == (409, "rev_mismatch")
    told = http.post("/v1/revert", json={**body, "since": client.rev()}).json()
    assert {file.path: file.value for file in client.scan("/r/**")} == {"/r/a": b"1", "/r/b": b"1"}
    assert next(client.history("/r/a", first=told["rev"])).note == "back"
