"""The tree as a treegrid: by keys alone, with very many entries, with what was deleted, and what is found in it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

import visor
from tests.console.conftest import hash_of, row
from tests.patience import eventually
from visor import op
from visor.testing import Server

MANY = 100_000
PLACE = "#/tree/many?open=/many"


@pytest.fixture(scope="module", autouse=True)
def many(registry: Server) -> None:
    with registry.dial() as client:
        for first in range(0, MANY, 4000):
            paths = (f"/many/n{number:06}" for number in range(first, first + 4000))
            client.txn({}, [op.set(path, b"") for path in paths])
        client.set("/some/b/deep/file", b"needle in it")
        client.set("/some/bin", bytes(range(256)))
        client.set("/some/c", b"hay")


def selected(page: Any) -> Any:
    return page.locator(".tree [aria-selected=true]")


def at_path(page: Any, path: str) -> None:
    eventually(lambda: hash_of(page).split("?")[0] == f"#/tree{path}", path)
    # What is announced to a screen reader is the row that is drawn as selected.
    eventually(
        lambda: (
            selected(page).count() == 1
            and page.locator(".tree").get_attribute("aria-activedescendant")
            == selected(page).get_attribute("id")
        ),
        "the row of it",
    )


def type_at_once(tree: Any, text: str) -> None:
    """Type as fast as it goes: no key waits for what the one before it shows, nor does a slow machine pause between."""
    tree.evaluate(
        """(tree, text) => [...text].forEach((key) =>
             tree.dispatchEvent(new KeyboardEvent("keydown", { key, bubbles: true })))""",
        text,
    )


def test_a_hundred_thousand_entries_are_gone_through_by_keys(opened: Callable[..., Any]) -> None:
    page = opened(PLACE)
    row(page, "n000003").wait_for()
    tree = page.get_by_role("treegrid", name="Files")
    assert tree.get_attribute("aria-rowcount") == str(MANY + 2)
    assert page.locator(".tree .row").count() < 100, "only what can be seen is drawn"
    tree.focus()
    page.keyboard.press("End")
    at_path(page, "/some")
    page.keyboard.press("ArrowUp")
    at_path(page, f"/many/n{MANY - 1:06}")
    assert selected(page).get_attribute("aria-level") == "2"
    assert selected(page).get_attribute("aria-posinset") == str(MANY)
    type_at_once(tree, "n0500")
    at_path(page, "/many/n050000")
    selected(page).wait_for()
    page.keyboard.press("PageDown")
    eventually(lambda: "n05001" in hash_of(page) or "n05002" in hash_of(page), "a page on")
    page.keyboard.press("ArrowLeft")
    at_path(page, "/many")
    page.keyboard.press("ArrowLeft")
    eventually(lambda: selected(page).get_attribute("aria-expanded") == "false", "it is closed")
    page.keyboard.press("Enter")
    eventually(lambda: selected(page).get_attribute("aria-expanded") == "true", "it is open")


def test_a_row_far_down_is_seen_by_its_url_and_by_scrolling(opened: Callable[..., Any]) -> None:
    page = opened("#/tree/many/n077777?open=/many")
    row(page, "n077777").wait_for()
    page.locator(".tree").evaluate("tree => { tree.scrollTop = 30 * 12346; }")
    row(page, "n012350").wait_for()
    page.locator(".tree").evaluate("tree => { tree.scrollTop = 0; }")
    row(page, "n000001").wait_for()


def test_rows_keep_their_places_while_others_come_and_go(
    opened: Callable[..., Any], client: visor.Client[bytes]
) -> None:
    page = opened("#/tree/some/c?open=/some,/some/b")
    row(page, "deep").wait_for()
    client.set("/some/a", b"")
    row(page, "a").nth(0).wait_for()
    client.set("/some/b/another", b"")
    row(page, "another").wait_for()
    client.delete("/some/b/another")
    row(page, "another").wait_for(state="detached")
    names = page.locator(".tree .name").all_inner_texts()
    assert names == ["many/", "some/", "a", "b/", "deep/", "bin", "c"]
    client.delete("/some/a")


def test_what_was_deleted_is_there_at_its_time(
    opened: Callable[..., Any], client: visor.Client[bytes]
) -> None:
    rev = client.set("/some/gone", b"its last value")
    client.delete("/some/gone", note="no longer needed")
    page = opened("#/tree/some/gone?open=/some")
    page.get_by_text("It was deleted").wait_for()
    page.get_by_text("no longer needed").first.wait_for()
    assert row(page, "gone").count() == 0
    page.get_by_role("button", name="Show its last value").click()
    page.locator("pre.value", has_text="its last value").wait_for()
    row(page, "gone").wait_for()
    assert f"at={rev}" in hash_of(page)


def find(page: Any, text: str) -> None:
    page.keyboard.press("/")
    page.keyboard.press("Control+a")
    page.keyboard.type(text)
    page.keyboard.press("Enter")


def test_a_path_a_glob_a_name_and_a_value_are_found(opened: Callable[..., Any]) -> None:
    page = opened("#/tree/")
    row(page, "some").wait_for()
    find(page, "/some/b/deep/file")
    page.locator("pre.value", has_text="needle").wait_for()
    row(page, "file").wait_for()
    find(page, "/many/n00001*")
    page.get_by_text("10 files").wait_for()
    page.locator(".found .row", has_text="n000013").click()
    eventually(lambda: hash_of(page).startswith("#/tree/many/n000013?q="), "it is selected, and still found")
    find(page, "/many/**")
    page.get_by_text(f"{MANY:,} files").wait_for()
    assert page.locator(".found .row").count() < 100
    page.keyboard.press("Escape")
    row(page, "many").wait_for()
    find(page, "/some")
    eventually(lambda: hash_of(page).startswith("#/tree/some"), "the directory")
    find(page, "value: needle")
    page.locator(".found mark", has_text="needle").wait_for()
    page.get_by_text("1 of", exact=False).wait_for()


def test_a_long_search_says_how_far_it_is_and_can_be_stopped(opened: Callable[..., Any]) -> None:
    page = opened("#/tree/many?q=/many/**%20nowhere")
    page.get_by_text("0 of 20,000 files have it, looked up to /many/n019999").wait_for()
    page.get_by_role("button", name="go on").click()
    page.get_by_text("0 of 40,000 files have it, looked up to /many/n039999").wait_for()
    held: list[Any] = []

    def hold(route: Any) -> None:
        held.append(route)

    page.route("**/v1/scan*", hold)
    page.get_by_role("button", name="go on").click()
    page.get_by_role("button", name="stop").click()
    page.get_by_text("stopped at /many/n039999").wait_for()
