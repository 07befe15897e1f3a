"""Streams against the store: cut anywhere, gone on with by their ids, through compaction, failover and restore.

In `tests/gateway/model.py` nothing waits and nothing is left to chance, so every byte of a stream is tried. The same
with real sockets, leaders that are killed and a proxy that cuts is in `test_failover.py`.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.gateway.event_source import Event, EventSource
from tests.gateway.model import Model, ask, gateway

NAMED = {"apps": "/a/{1,2}/**", "one": "/a/1/x", "rest": "/b/*"}
WANTED = ("/a/1/x", "/a/1/y", "/a/2/x", "/b/z")
OTHERS = ("/c/q", "/a/3/x")


@dataclass
class Follower:
    """Who keeps a copy by a stream of several globs: it holds what it was told, and judges how."""

    source: EventSource = field(default_factory=EventSource)
    files: dict[str, bytes] = field(default_factory=dict)
    told: int = 0
    """Up to which rev all was told."""
    commits: list[int] = field(default_factory=list)
    """Since it began anew."""
    begun: int = 0

    def begin(self) -> None:
        """Begin anew, with the state."""
        self.source, self.files, self.commits, self.told = EventSource(), {}, [], 0

    def take(self, data: bytes) -> None:
        for event in self.source.feed(data):
            getattr(self, f"_{event.name}")(event)

    def _state(self, event: Event) -> None:
        assert not self.commits
        for file in event.data["files"]:
            assert file["for"] == names_of(file["path"])
            self.files[file["path"]] = value_of(file)
        assert (event.id is not None) == event.data["last"], "half a state is no place to go on from"
        if event.data["last"]:
            self.told = self.begun = event.data["rev"]

    def _commit(self, event: Event) -> None:
        assert event.data["rev"] > self.told, "no repeat"
        self.told = event.data["rev"]
        self.commits.append(self.told)
        for change in event.data["changes"]:
            assert change["for"] == names_of(change["path"]) != []
            self.files.pop(change["path"], None)
            if change["kind"] in ("create", "update"):
                self.files[change["path"]] = value_of(change)

    def _ended(self, event: Event) -> None:
        assert event.id is None

    def _mark(self, event: Event) -> None:
        assert event.data["rev"] > self.told
        self.told = event.data["rev"]


def value_of(row: dict[str, Any]) -> bytes:
    return row["value"].encode() if "value" in row else base64.b64decode(row["value_base64"])


def names_of(path: str) -> list[str]:
    """Return under which names of `NAMED` a path was asked for."""
    inside = {
        "apps": path.startswith(("/a/1/", "/a/2/")),
        "one": path == "/a/1/x",
        "rest": path.startswith("/b/"),
    }
    return [name for name, wanted in inside.items() if wanted]


def wanted(model: Model, rev: int) -> dict[str, bytes]:
    return {path: version[1] for path, version in model.states[rev].items() if names_of(path)}


def revs(model: Model, first: int, last: int) -> list[int]:
    return [
        commit[0] for commit in model.commits[first - 1 : last] if any(names_of(row[1]) for row in commit[4])
    ]


def history() -> Model:
    """Commits of one change and of several, of what is asked for and what is not, of values that look like events."""
    model = Model()
    model.write({"/a/1/x": b"1", "/a/2/x": b"2", "/c/q": b""})
    model.write({"/c/q": b"quiet"})
    model.write({"/a/1/x": b"x\n\nevent: ended\ndata: {}\n\n", "/b/z": b"\xff\xfe"})
    model.write({"/a/1/x": None, "/a/1/y": "ключ\r\n".encode()})
    model.write({"/a/3/x": b"no"})
    model.write({"/b/z": None})
    return model


async def follow(
    model: Model, last: str | None, enough: Callable[[bytes], bool], query: str
) -> tuple[int, bytes]:
    """Return what one connection is told, by a gateway that has never heard of this reader."""
    return await ask(
        gateway(lambda: model),
        f"/v1/watch?{query}",
        method="POST",
        headers={"content-type": "application/json", **({} if last is None else {"last-event-id": last})},
        body=json.dumps(NAMED).encode(),
        enough=enough,
    )


@pytest.mark.parametrize("query", ["from=1", "state=1"])
def test_cut_at_every_byte_nothing_is_missed_and_nothing_comes_twice(
    query: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("visor.gateway.watching.STATE_ROWS", 1)
    model = history()
    writing = Model()

    async def everything() -> None:
        # With a state, the commits come while the stream runs: it begins at the rev of the third.
        grown = model if query == "from=1" else writing
        if grown is writing:
            for changes in range(3):
                writing.commits.append(model.commits[changes])
                writing.states.append(model.states[changes + 1])

        def enough(data: bytes) -> bool:
            if grown is writing and b'"last":true' in data and writing.rev < model.rev:
                writing.commits, writing.states = model.commits, model.states
            return data.count(b"event: ") >= 30 or data.endswith(b": still here\n\n")

        status, whole = await follow(grown, None, enough, query)
        assert status == 200
        rest: dict[str, bytes] = {}
        for size in range(len(whole) + 1):
            reader = Follower()
            reader.take(whole[:size])
            last = reader.source.last
            if last is None:
                continue  # it begins anew, and so does the next test
            if last not in rest:
                _, rest[last] = await follow(
                    model, last, enough, "state=1"
                )  # an id is more than what is asked for
            reader.source.connected()
            reader.take(rest[last])
            assert reader.told == model.rev
            assert reader.commits == revs(model, reader.begun + 1, model.rev)
            assert reader.files == wanted(model, model.rev)
        assert len(rest) >= 3

    asyncio.run(everything())


CHANGES = st.dictionaries(
    st.sampled_from((*WANTED, *OTHERS)), st.none() | st.binary(max_size=4), min_size=1, max_size=4
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("write"), CHANGES),
        st.tuples(st.just("read"), st.integers(1, 900)),
        st.tuples(st.just("compact"), st.integers(0, 3)),
        st.tuples(st.just("failover"), st.booleans()),
        st.tuples(st.just("restore"), st.none()),
    ),
    max_size=30,
)


class Play:
    """One history, and one reader that is cut again and again in it."""

    def __init__(self) -> None:
        self.model = Model()
        self.model.write({"/c/q": b"first"})
        self.reader = Follower()
        self.refused: list[int] = []

    async def step(self, word: str, what: Any) -> None:
        model = self.model
        if word == "write":
            model.write(what)
        elif word == "compact":
            model.floor = max(model.floor, model.rev - what)
        elif word == "failover":
            model.leader = what
        elif word == "restore":
            self.model = Model(model.cluster + "x")
            self.model.write({"/a/1/x": b"restored"})
        else:
            await self.read(what)

    async def read(self, size: int) -> None:
        """Read so many bytes, and go. Where it is refused, begin anew: that is the reader's own doing."""
        last = self.reader.source.last
        if last is None:
            self.reader.begin()
        status, data = await follow(self.model, last, lambda data: len(data) >= size, "state=1")
        if status == 200:
            self.reader.source.connected()
            self.reader.take(data[:size])
            return
        assert last is not None, data
        cluster, _, rev = last.partition(":")
        expected = 409 if cluster != self.model.cluster else 410
        assert status == expected, data
        assert expected == 409 or int(rev) < self.model.floor
        self.refused.append(status)
        self.reader.begin()

    async def come_to_rest(self) -> None:
        """Read until all was told."""
        self.model.leader = True
        for _ in range(5):
            await self.read(20_000)
            if self.reader.told == self.model.rev and self.reader.source.last is not None:
                return
        raise AssertionError(f"told {self.reader.told} of {self.model.rev}")


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=120)
@given(STEPS)
def test_whatever_happens_between_a_reader_has_what_the_store_has(
    steps: list[tuple[str, Any]],
) -> None:
    async def play() -> None:
        one = Play()
        for word, what in steps:
            await one.step(word, what)
        await one.come_to_rest()
        assert one.reader.files == wanted(one.model, one.model.rev)
        assert one.reader.commits == revs(one.model, one.reader.begun + 1, one.model.rev)
        assert one.reader.source.last == f"{one.model.cluster}:{one.model.rev}"

    asyncio.run(play())


def test_a_stream_that_falls_below_the_floor_says_so_with_its_rev() -> None:
    """Trimmed away while it was open: its last event says where it was, and no event pretends otherwise."""
    model = history()

    def enough(data: bytes) -> bool:
        if b"event: commit" in data:
            model.floor = model.rev - 1
        return False

    status, data = asyncio.run(follow(model, "c1:1", enough, "from=1"))
    *before, last = EventSource().feed(data)
    assert status == 200
    assert [event.name for event in before] == ["commit"]
    assert (last.name, last.data["code"], last.id) == ("ended", "compacted", None)
    assert last.data["rev"] == before[-1].data["rev"]
