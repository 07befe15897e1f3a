"""Leaders go while streams are read and keyed writes are sent: all is told once, and done once."""

from __future__ import annotations

import random
import threading
from pathlib import Path

import pytest

import visor
from tests.admin.members import Members
from tests.gateway.running import Caller, gateway
from tests.gateway.test_streams import NAMED, OTHERS, WANTED, Follower
from tests.gateway.test_watching import events
from tests.patience import PATIENCE

WRITES = 60
NAMES = ("n1", "n2", "n3")


def write(url: str, number: int) -> None:
    """Write until it is said to be done, always under one key."""
    headers = {"idempotency-key": f"write-{number}", "visor-note": str(number)}
    with Caller(url) as http:
        while http.request("PUT", "/v1/files/log", content=str(number), headers=headers).status_code != 200:
            continue


def write_named(http: Caller, number: int) -> None:
    """Write several files at one rev, or not: whatever comes of it stands in the store."""
    paths = [(*WANTED, *OTHERS)[(number * step) % 6] for step in (1, 2, 3)]
    then = [{"set": path, "value": f"{number}\n\n"} for path in sorted(set(paths))]
    http.post("/v1/txn", json={"then": then})


def read(one: Follower, url: str, size: int) -> int:
    """Read so many bytes of a stream of several globs, and go, in the middle of whatever it is. Return the status."""
    last = {} if one.source.last is None else {"last-event-id": one.source.last}
    if not last:
        one.begin()
    with Caller(url) as http, http.stream("POST", "/v1/watch?state=1", json=NAMED, headers=last) as answer:
        if answer.status_code != 200:
            return answer.status_code
        one.source.connected()
        for piece in answer.iter_raw():
            one.take(piece[:size])
            size -= len(piece)
            if size <= 0 or b"event: ended" in piece:
                break
        return 200


class Cutting(threading.Thread):
    """Who reads at both gateways by turns, and is cut after so many bytes each time."""

    def __init__(self, *urls: str) -> None:
        super().__init__(daemon=True)
        self.follower, self.over, self.wrong = Follower(), threading.Event(), ""
        self._urls, self._dice, self.cuts = urls, random.Random(1), 0

    def run(self) -> None:
        try:
            while not self.over.is_set():
                status = read(
                    self.follower, self._urls[self.cuts % len(self._urls)], self._dice.randrange(1, 1500)
                )
                assert status in (200, 503), "refused only while nobody leads"
                self.cuts += 1
        except BaseException as error:
            self.wrong = repr(error)


def come_to_rest(cutting: Cutting, client: visor.Client[bytes], url: str) -> None:
    """Compare what the reader has with what the store has; then let history go, and have it begin anew."""
    cutting.over.set()
    cutting.join(PATIENCE)
    follower, globs = cutting.follower, visor.select.any_of(*NAMED.values())
    rev = client.set("/b/z", b"the last")
    assert cutting.wrong == ""
    assert cutting.cuts > 20
    early = follower.source.last
    while follower.told < rev:
        assert read(follower, url, 500) == 200
    there = {file.path: file.value for file in client.scan(globs)}
    assert follower.files == there
    assert follower.commits == [commit.rev for commit in client.history(globs, first=follower.begun + 1)]
    client.set("/b/z", b"another")
    client.compact(client.rev())
    follower.source.last = early
    assert read(follower, url, 500) == 410, "never a silent restart"
    follower.begin()
    assert read(follower, url, 2000) == 200
    assert follower.files == {**there, "/b/z": b"another"}


def test_streams_and_keyed_writes_through_three_leaders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("visor.gateway.watching.MARK_SECONDS", 0.1)  # a reader of quiet streams is cut soon
    with Members(tmp_path) as members:
        members.start(*NAMES)
        addresses = ",".join(members.address(name) for name in NAMES)
        with gateway(addresses) as one, gateway(addresses) as two, Caller(one.url) as http:
            told: list[int] = []

            def follow() -> None:
                last: dict[str, str] = {}
                while len(told) < WRITES:
                    # Cut after some events, and gone on with by the id of the last one, at the other gateway.
                    url = f"{(one, two)[len(told) // 7 % 2].url}/v1/watch?glob=/log&from=1"
                    with events(http, url, headers=last) as stream:
                        for event in stream:
                            last = {"last-event-id": event["id"]} if event["id"] else last
                            told.extend([event["data"]["rev"]] if event["name"] == "commit" else [])
                            if event["name"] == "ended" or len(told) % 7 == 0 or len(told) == WRITES:
                                break

            reader, cutting = threading.Thread(target=follow, daemon=True), Cutting(one.url, two.url)
            reader.start()
            cutting.start()
            for number in range(WRITES):
                write((one, two)[number % 2].url, number)
                write_named(http, number)
                if number % 20 == 10:
                    members.until(lambda: members.leader() is not None, "a leader")
                    name = members.on_loop(members.leader) or ""
                    members.stop(name)
                    members.start(name)
            reader.join(PATIENCE)
            with visor.dial(addresses) as client:
                commits = list(client.history("/log"))
                come_to_rest(cutting, client, one.url)
    assert [commit.note for commit in commits] == [str(number) for number in range(WRITES)], (
        "each once, in order"
    )
    assert told == [commit.rev for commit in commits]
