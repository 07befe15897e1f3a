"""Streams: whole commits in order, without a gap or a repeat, whatever cuts them; refused rather than begun anew."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

import visor
from tests.gateway.running import Caller, Running, gateway
from tests.patience import PATIENCE, eventually
from visor.gateway import sse
from visor.testing import Server, server

Event = dict[str, Any]


def parse(text: bytes) -> tuple[list[Event], bytes]:
    """Return the events that are whole, as a browser would read them, and what is left."""
    *blocks, rest = text.split(b"\n\n")
    events = []
    for block in blocks:
        fields: dict[str, str] = {}
        for line in block.decode().split("\n"):
            name, _, value = line.partition(": ")
            if name:
                fields[name] = value
        if "event" in fields:
            events.append(
                {"name": fields["event"], "id": fields.get("id"), "data": json.loads(fields["data"])}
            )
    return events, rest


@contextmanager
def events(
    http: Caller, url: str = "/v1/watch", method: str = "GET", **more: Any
) -> Iterator[Iterator[Event]]:
    """Give the events of a stream as they come."""

    def each(answer: httpx.Response) -> Iterator[Event]:
        rest = b""
        for piece in answer.iter_bytes():
            found, rest = parse(rest + piece)
            yield from found

    with http.stream(method, url, **more) as answer:
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"] == "text/event-stream"
        assert answer.headers["cache-control"] == "no-store"
        yield each(answer)


def test_whole_commits_come_in_order(http: Caller, client: visor.Client[bytes]) -> None:
    with events(http, "/v1/watch?glob=/w/**") as stream:
        client.txn(
            then=[visor.op.set("/w/a", b"1"), visor.op.set("/w/b", b"\xff"), visor.op.set("/other", b"")]
        )
        rev = client.set("/w/a", b"2", note="why")
        first, second = next(stream), next(stream)
    assert first["name"] == "commit"
    assert [change["path"] for change in first["data"]["changes"]] == ["/w/a", "/w/b"]
    assert first["data"]["changes"][1]["value_base64"] == "/w=="
    assert second["id"] == f"{client.cluster}:{rev}"
    assert (second["data"]["rev"], second["data"]["note"]) == (rev, "why")


def test_from_a_rev_and_without_values(http: Caller, client: visor.Client[bytes]) -> None:
    rev = client.set("/f/a", b"1")
    client.set("/f/a", b"2")
    with events(http, "/v1/watch", params={"glob": "/f/**", "from": rev, "values": 0}) as stream:
        found = [next(stream), next(stream)]
    assert [event["data"]["rev"] for event in found] == [rev, rev + 1]
    assert "value" not in found[0]["data"]["changes"][0]


def test_the_state_comes_first_in_portions_and_the_commits_fit_behind_it(
    http: Caller, client: visor.Client[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("visor.gateway.watching.STATE_ROWS", 2)
    for number in range(5):
        client.set(f"/s/{number}", str(number).encode())
    with events(http, "/v1/watch?glob=/s/**&state=1") as stream:
        portions = [next(stream) for _ in range(3)]
        rev = client.set("/s/5", b"5")
        commit = next(stream)
    assert [event["name"] for event in portions] == ["state"] * 3
    assert [event["data"]["last"] for event in portions] == [False, False, True]
    assert [event["id"] is None for event in portions] == [True, True, False], (
        "half a state is no place to go on from"
    )
    files = [file for event in portions for file in event["data"]["files"]]
    assert {file["path"]: file["value"] for file in files} == {f"/s/{n}": str(n) for n in range(5)}
    assert commit["data"]["rev"] == rev > portions[-1]["data"]["rev"]


def test_several_globs_by_name_are_one_stream(http: Caller, client: visor.Client[bytes]) -> None:
    named = {"apps": "/n/{apps,more}/**", "one": "/n/apps/web"}
    with events(http, "/v1/watch?state=1", "POST", json=named) as stream:
        assert next(stream)["data"]["files"] == []
        client.txn(
            then=[
                visor.op.set("/n/apps/web", b""),
                visor.op.set("/n/more/x", b""),
                visor.op.set("/n/no", b""),
            ]
        )
        changes = next(stream)["data"]["changes"]
    assert [(change["path"], change["for"]) for change in changes] == [
        ("/n/apps/web", ["apps", "one"]),
        ("/n/more/x", ["apps"]),
    ]
    many = ",".join(map(str, range(33)))
    for wrong in (
        {},
        {"a": 1},
        {"a": "nothing"},
        {"a": "/{b"},
        {"a": f"/{{{many}}}"},
    ):
        assert http.problem("POST", "/v1/watch", json=wrong)[0] == 400


def test_a_quiet_stream_is_marked_in_order(
    http: Caller, client: visor.Client[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("visor.gateway.watching.MARK_SECONDS", 0.01)
    with events(http, "/v1/watch?glob=/quiet/**") as stream:
        rev = client.set("/loud", b"")
        mark = next(stream)
        while mark["data"]["rev"] < rev:
            mark = next(stream)
        assert mark["name"] == "mark"
        assert mark["id"] == f"{client.cluster}:{mark['data']['rev']}"
        late = client.set("/quiet/a", b"")
        found = [mark]
        while found[-1]["name"] == "mark":
            found.append(next(stream))
    assert found[-1]["data"]["rev"] == late
    assert all(event["data"]["rev"] < late for event in found[:-1])


def told_until(running: Running, last: str | None, size: int) -> tuple[list[Event], int]:
    """Read a stream for so many bytes, then cut it; return the whole events and how many bytes there were."""
    head = f"GET /v1/watch?glob=/cut/**&from=1 HTTP/1.0\r\nhost: localhost\r\nlast-event-id: {last}\r\n\r\n"
    if last is None:
        head = head.replace("last-event-id: None\r\n", "")
    with socket.create_connection(running.place, PATIENCE) as connection:
        connection.sendall(head.encode())
        read = b""
        while b"\r\n\r\n" not in read or len(read.partition(b"\r\n\r\n")[2]) < size:
            data = connection.recv(4096)
            assert data, read
            read += data
        answer, _, body = read.partition(b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 200"), answer
    return parse(_unchunked(body)[:size])[0], size


def _unchunked(body: bytes) -> bytes:
    """Return what is whole of a body in chunks."""
    found = b""
    while b"\r\n" in body:
        size, _, rest = body.partition(b"\r\n")
        count = int(size, 16)
        found += rest[:count]
        body = rest[count + 2 :]
    return found


def test_cut_at_any_byte_it_goes_on_without_a_gap_or_a_repeat(
    running: Running, client: visor.Client[bytes]
) -> None:
    for number in range(12):
        client.txn(
            then=[
                visor.op.set("/cut/a", str(number).encode()),
                visor.op.set(f"/cut/{number}", b"x" * number * 7),
            ]
        )
        client.set("/uncut", b"")
    there = [commit.rev for commit in client.history("/cut/**")]
    told: list[int] = []
    last, size = None, 11
    while len(told) < len(there):
        found, _ = told_until(running, last, size)
        told += [event["data"]["rev"] for event in found if event["name"] == "commit"]
        last = found[-1]["id"] if found else last
        size += 37 if not found else -13
    assert told == there


def test_an_id_of_another_cluster_is_refused_before_the_stream_begins(
    http: Caller, client: visor.Client[bytes]
) -> None:
    def refused(number: str) -> tuple[int, str]:
        return http.problem("GET", "/v1/watch?glob=/x/**", headers={"last-event-id": number})

    assert refused("abcdef:1") == (409, "wrong_cluster")
    detail = http.get("/v1/watch", headers={"last-event-id": "abcdef:1"}).json()["detail"]
    assert "abcdef" in detail and "begin anew" in detail, "what to do by HTTP, not with a client of Python"
    assert refused(f"{client.cluster}:{client.rev() + 1000}") == (409, "future_rev")
    assert refused("nonsense") == (400, "usage")
    assert http.problem("GET", "/v1/watch?glob=x") == (422, "bad_glob")


def test_history_that_is_gone_is_410_and_never_a_new_beginning() -> None:
    with (
        server() as registry,
        registry.dial() as client,
        gateway(registry.address) as one,
        Caller(one.url) as http,
    ):
        for number in range(20):
            client.set("/a", str(number).encode())
        client.compact(15)
        last = {"last-event-id": f"{client.cluster}:3"}
        assert http.problem("GET", "/v1/watch?glob=/a", headers=last) == (410, "compacted")
        with events(http, "/v1/watch?glob=/a", headers={"last-event-id": f"{client.cluster}:15"}) as stream:
            assert next(stream)["data"]["rev"] == 16


def test_lines_for_curl(http: Caller, client: visor.Client[bytes]) -> None:
    rev = client.set("/l/a", b"1")
    url = f"/v1/watch?glob=/l/**&from={rev}"
    with http.stream("GET", url, headers={"accept": "application/jsonl"}) as answer:
        line = json.loads(next(answer.iter_lines()))
    assert (line["event"], line["rev"], line["id"]) == ("commit", rev, f"{client.cluster}:{rev}")


def test_a_shell_waits_for_what_comes_next(http: Caller, client: visor.Client[bytes]) -> None:
    rev = client.set("/p/a", b"1")
    client.set("/p/a", b"2")
    told = http.get("/v1/watch", params={"glob": "/p/**", "after": rev, "wait": "30s"}).json()
    assert (told["rev"], told["commits"][0]["changes"][0]["value"]) == (rev + 1, "2")
    told = http.get("/v1/watch", params={"glob": "/p/**", "after": rev + 1, "wait": "10ms"}).json()
    assert told["commits"] == []
    assert told["rev"] >= rev + 1
    writing = threading.Timer(0.01, lambda: client.set("/p/a", b"3"))
    writing.start()
    told = http.get("/v1/watch", params={"glob": "/p/**", "after": rev + 1}).json()
    assert told["commits"][0]["changes"][0]["value"] == "3"
    writing.join()


def test_a_stream_survives_a_restart_of_the_registry(tmp_path: Any) -> None:
    with server(data_dir=tmp_path) as registry, gateway(registry.address) as one, Caller(one.url) as http:
        with registry.dial() as client:
            client.set("/a", b"1")
        with events(http, "/v1/watch?glob=/a&from=1") as stream:
            assert next(stream)["data"]["rev"] == 1
            registry.restart()
            with registry.dial() as client:
                client.set("/a", b"2")
            assert next(stream)["data"]["rev"] == 2


def test_a_gateway_that_stops_says_so_on_its_streams(registry: Server) -> None:
    with (
        gateway(registry.address) as one,
        Caller(one.url) as http,
        events(http, "/v1/watch?glob=/z/**") as stream,
    ):
        one.server.should_exit = True
        last = next(stream)
    assert (last["name"], last["data"]["code"]) == ("ended", "closing")


def test_a_reader_that_goes_leaves_nothing_behind(
    running: Running, http: Caller, client: visor.Client[bytes]
) -> None:
    with events(http, "/v1/watch?glob=/gone/**"):
        assert running.server.config.app.counts.streams >= 1  # type: ignore[union-attr]
    eventually(lambda: "visor_gateway_streams 0\n" in http.get("/metrics").text, "the end of the stream")
    eventually(lambda: client.status().watches == 0, "the end of the watch")


def test_streams_of_one_caller_are_bounded(http: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("visor.gateway.application.MOST_STREAMS_EACH", 1)
    with events(http, "/v1/watch?glob=/b/**"):
        answer = http.get("/v1/watch?glob=/b/**")
        assert (answer.status_code, answer.json()["code"]) == (429, "too_many")
        assert answer.headers["retry-after"]


def test_no_value_can_be_taken_for_another_event(http: Caller, client: visor.Client[bytes]) -> None:
    evil = b"x\n\nevent: ended\ndata: {}\n\n"
    rev = client.set("/evil", evil, note="a\r\n\r\nid: 1\n")
    with events(http, f"/v1/watch?glob=/evil&from={rev}") as stream:
        told = next(stream)
    assert told["data"]["changes"][0]["value"].encode() == evil
    assert told["id"] == sse.id_of(client.cluster or "", rev)


def test_the_head_of_a_stream_alone_ends_at_once(http: Caller, client: visor.Client[bytes]) -> None:
    answer = http.head("/v1/watch?glob=/head/**", headers={"accept": "text/event-stream"})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream")
    eventually(lambda: client.status().watches == 0, "the end of the watch")
