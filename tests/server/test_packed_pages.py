"""Pages that are sent as they were packed tell what reading anew would tell, whatever was written between."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.state.driving import Driven
from visor.protocol import limits, verbs
from visor.protocol.frames import Decoder, encode
from visord.serving import packed_pages
from visord.serving.packed_pages import PackedPages
from visord.state.machine import Machine
from visord.state.query import answer
from visord.state.refusal import Refusal
from visord.watch import packed_files
from visord.watch.packed_files import PackedFiles


def told(pages: PackedPages, message: list[Any]) -> Any:
    """Return the result that a client reads, or the refusal, or None where the ordinary way is taken."""
    found = pages.answer(message)
    if found is None or isinstance(found, Refusal):
        return found
    (read,) = Decoder(limits.DEFAULT.frame).feed(found[0] + b"".join(found[1]))
    assert read[:2] == [verbs.OK, message[1]]
    return read[2]


def plain(thing: Any) -> Any:
    """Return what the wire makes of an answer."""
    if isinstance(thing, Refusal):
        return thing
    return msgpack.unpackb(msgpack.packb(thing))


@pytest.fixture
def driven() -> Driven:
    found = Driven()
    for number in range(40):
        found.set(f"/apps/a{number:02}", b"1")
    found.set("/other/x", b"1")
    return found


APPS = [verbs.SCAN, 9, [verbs.SEL_TREE, "/apps"]]


def test_what_nothing_has_changed_is_sent_again_with_the_rev_of_now(driven: Driven) -> None:
    pages = PackedPages(driven.store, PackedFiles())
    first = told(pages, APPS)
    driven.set("/other/x", b"2")
    again = told(pages, APPS)
    assert (pages.made, pages.found) == (1, 1)
    assert again == [driven.store.rev, *first[1:]] and again[0] > first[0]
    driven.set("/apps/a07", b"2")
    changed = told(pages, APPS)
    assert changed == plain(answer(driven.store, APPS))


def test_of_a_list_in_which_one_file_changes_little_is_read_anew(driven: Driven) -> None:
    for number in range(2000):
        driven.set(f"/apps/b{number:04}", bytes(100))
    files = PackedFiles()
    pages = PackedPages(driven.store, files)
    driven.set("/apps/b0007", b"2")
    told(pages, APPS)
    driven.set("/apps/b0008", b"2")
    assert told(pages, APPS) == plain(answer(driven.store, APPS))
    made = files.made
    assert made > 20
    for number in (9, 1999, 9):
        driven.set(f"/apps/b{number:04}", b"3")
        assert told(pages, APPS) == plain(answer(driven.store, APPS))
    assert (files.made, pages.made) == (made + 3, 1)


def test_the_pages_behind_the_first_are_there_too(driven: Driven) -> None:
    for number in range(6000):
        driven.set(f"/apps/b{number:04}", bytes(100))
    pages = PackedPages(driven.store, PackedFiles())
    for turn in range(3):
        driven.set("/apps/b0007", b"2")
        message, rows, cursor, ordinary = APPS, [], "", 0
        while cursor is not None:
            found = told(pages, message)
            if found is None:
                ordinary += 1
                found = plain(answer(driven.store, message))
            rev, more, cursor, _ = found
            rows += more
            message = [*APPS, rev, 0, cursor]
        assert rows == plain(every(driven, rev))
        assert turn < 2 or not ordinary


def every(driven: Driven, rev: int) -> list[Any]:
    """Return all rows of APPS at a rev."""
    found = []
    cursor = None
    while True:
        _, rows, cursor, _ = answer(driven.store, [*APPS, rev, 0, cursor])
        found += rows
        if cursor is None:
            return found


def test_what_was_deleted_is_told_by_no_page(driven: Driven) -> None:
    pages = PackedPages(driven.store, PackedFiles())
    told(pages, APPS)
    driven.delete("/apps", True)
    assert told(pages, APPS) == [driven.store.rev, [], None, None]
    listing = [verbs.LIST, 9, "/apps"]
    assert told(pages, listing).code == "not_found"


def test_the_past_and_what_is_strange_go_the_ordinary_way(driven: Driven) -> None:
    pages = PackedPages(driven.store, PackedFiles())
    assert told(pages, [*APPS, driven.store.rev]) is None
    assert told(pages, [*APPS, None, 0, "x" * packed_pages.KEY_BYTES]) is None
    assert told(pages, [*APPS, None, 0, 1 << 70]) is None
    for wrong in ([verbs.SCAN, 9, 5], [verbs.SCAN, 9], [verbs.LIST, 9, "nothing"], [*APPS, None, 7]):
        assert told(pages, wrong) == answer(driven.store, wrong)
    counted = [*APPS, None, 0, None, 0, {"count": True}]
    assert told(pages, counted) == plain(answer(driven.store, counted))


def test_nothing_of_a_value_that_was_redacted_is_kept(driven: Driven) -> None:
    driven.set("/apps/a01", b"the secret")
    pages = PackedPages(driven.store, PackedFiles())
    assert b"the secret" in encode(told(pages, APPS))
    done = driven.write(verbs.REDACT, "/apps/a01", 1, None, "why")
    assert not isinstance(done, Refusal)
    assert b"the secret" not in encode(told(pages, APPS))
    assert b"the secret" not in b"".join(b"".join(page.pieces) for page in pages._pages.values())


def test_another_state_takes_all_pages_along(driven: Driven) -> None:
    pages = PackedPages(driven.store, PackedFiles())
    told(pages, APPS)
    other = Driven()
    for number in range(60):
        other.set(f"/apps/b{number:02}", b"1")
    driven.machine.become(other.machine)
    assert told(pages, APPS) == plain(answer(other.store, APPS))


def test_they_are_bounded(driven: Driven) -> None:
    pages = PackedPages(driven.store, PackedFiles(), most=8192)
    for limit in range(20, 40):
        told(pages, [*APPS, None, 0, None, limit])
        assert 0 < pages.bytes <= 8192
    assert len(pages._pages) < 20
    pages = PackedPages(driven.store, PackedFiles())
    told(pages, [*APPS, None, 0, None, packed_pages.LEAST_ROWS - 1])
    assert pages.bytes == 0  # too short to be worth it
    large = Machine()
    assert told(PackedPages(large.store, PackedFiles()), APPS)[1] == []


NAMES = st.sampled_from([f"/{top}/{name}" for top in ("a", "b") for name in ("x", "y/z", "y/w", "v")])
WRITES = st.one_of(
    st.tuples(st.just("set"), NAMES, st.binary(max_size=3)),
    st.tuples(st.just("delete"), NAMES, st.just(False)),
    st.tuples(st.just("delete"), st.sampled_from(["/a", "/b", "/a/y", "/b/y"]), st.just(True)),
)
READS = st.sampled_from(
    [
        [verbs.SCAN, 1, [verbs.SEL_TREE, "/"]],
        [verbs.SCAN, 1, [verbs.SEL_TREE, "/a"]],
        [verbs.SCAN, 1, [verbs.SEL_GLOB, "/a/y/*"]],
        [verbs.SCAN, 1, [verbs.SEL_GLOB, "/*/x"]],
        [verbs.SCAN, 1, [verbs.SEL_ANY, [[verbs.SEL_TREE, "/a/y"], [verbs.SEL_PATH, "/a/v"]]]],
        [verbs.SCAN, 1, [verbs.SEL_RANGE, "/a/w", "/a/z"]],
        [verbs.SCAN, 1, [verbs.SEL_CHILDREN, "/b"], None, 0, None, 2],
        [verbs.SCAN, 1, [verbs.SEL_TREE, "/a"], None, 0, "/a/x", 0, {"keys": True}],
        [verbs.SCAN, 1, [verbs.SEL_TREE, "/b"], None, 0, None, 0, {"reverse": True}],
        [verbs.LIST, 1, "/"],
        [verbs.LIST, 1, "/a"],
        [verbs.LIST, 1, "/a/y", None, 0, None, 0, {"values": True}],
    ]
)


@settings(deadline=None)
@given(st.lists(st.one_of(WRITES, READS), max_size=40))
def test_it_is_as_if_each_was_read_anew(steps: list[Any]) -> None:
    driven = Driven()
    pages = PackedPages(driven.store, PackedFiles())
    least, packed_pages.LEAST_ROWS = packed_pages.LEAST_ROWS, 0  # type: ignore[misc]
    before = packed_files.CHUNK_BYTES, packed_files.LEAST_BYTES
    packed_files.CHUNK_BYTES, packed_files.LEAST_BYTES = 20, 0  # type: ignore[misc]
    try:
        for step in steps:
            if type(step) is tuple:
                getattr(driven, step[0])(*step[1:])
            else:
                assert told(pages, step) == plain(answer(driven.store, step))
                named = [*step[:3], max(driven.store.floor, driven.store.rev - 1), *step[4:]]
                past = told(pages, named)
                assert past is None or past == plain(answer(driven.store, named))
    finally:
        packed_pages.LEAST_ROWS = least  # type: ignore[misc]
        packed_files.CHUNK_BYTES, packed_files.LEAST_BYTES = before  # type: ignore[misc]
