"""The screen of a file: its forms, its lease and lock, who changed what, and its path as text to take along."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import visor
from tests.console.conftest import hash_of
from tests.patience import LONG_TTL, eventually


def test_a_value_has_the_forms_that_it_can_have(
    opened: Callable[..., Any], client: visor.Client[bytes]
) -> None:
    client.set("/forms/json", b'{"b":[1,2],"a":"x"}')
    client.set("/forms/bytes", b"\xff\x00ab")
    page = opened("#/tree/forms/json")
    value = page.get_by_label("Value", exact=True)
    value.get_by_text('"b"').wait_for()
    assert value.inner_text() == '{\n  "b": [\n    1,\n    2\n  ],\n  "a": "x"\n}'
    page.get_by_role("button", name="Text").click()
    assert value.inner_text() == '{"b":[1,2],"a":"x"}'
    page.get_by_role("button", name="Hex").click()
    assert value.inner_text().startswith("000000  7b 22 62")
    page.goto(page.url.split("#")[0] + "#/tree/forms/bytes")
    value.get_by_text("ff 00 61 62").wait_for()
    assert page.get_by_role("button", name="Text").count() == 0
    assert page.get_by_role("button", name="Change", exact=True).count() == 0, "no text to edit"


def test_a_lease_counts_down_and_a_lock_says_who_holds_it(
    opened: Callable[..., Any], client: visor.Client[bytes]
) -> None:
    with client.session(ttl=LONG_TTL) as session, session.lock("/locks/db") as lock:
        name = next(file.path for file in client.scan("/locks/db/*"))
        page = opened(f"#/tree{name}?open=/locks,/locks/db")
        page.get_by_text("left").wait_for()
        assert page.get_by_role("meter", name="Time that the lease has left").count() == 1
        page.get_by_text("Held by").wait_for()
        fence = page.locator(".lock li").first
        assert str(lock.fence) in fence.inner_text()
        assert name.rpartition("/")[2] in fence.inner_text()


def test_who_changed_what_last_in_a_directory(
    opened: Callable[..., Any], client: visor.Client[bytes]
) -> None:
    rev = client.set("/blamed/one", b"", note="because")
    client.set("/blamed/two", b"")
    page = opened("#/tree/blamed")
    page.get_by_role("button", name="Who changed what").click()
    line = page.get_by_role("row").filter(has=page.get_by_role("button", name="one", exact=True))
    line.get_by_text(str(rev), exact=True).wait_for()
    line.get_by_text("because").wait_for()
    page.get_by_role("button", name="one", exact=True).click()
    eventually(lambda: hash_of(page).startswith("#/tree/blamed/one"), "it goes there")


def test_a_path_is_copied(opened: Callable[..., Any], client: visor.Client[bytes]) -> None:
    client.set("/taken/along", b"")
    page = opened("#/tree/taken/along", permissions=["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy the path").click()
    page.get_by_text("copied", exact=True).wait_for()
    assert page.evaluate("navigator.clipboard.readText()") == "/taken/along"


def test_who_watches_a_file_and_how_far_behind(
    opened: Callable[..., Any], client: visor.Client[bytes]
) -> None:
    rev = client.set("/watched/file", b"")
    with client.watch("/watched/*", rev=rev) as watch:
        watch.next()
        page = opened("#/tree/watched/file")
        page.get_by_text("Who watches it").click()
        line = page.get_by_role("row").filter(has_text="/watched/*")
        line.get_by_text("up to date").wait_for()
