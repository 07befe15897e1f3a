"""The console in a real browser: live, in the past, changed under guard, reverted, by keys alone, on a phone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import visor
from tests.console.conftest import blank, hash_of, row
from tests.gateway.running import Running, gateway
from tests.patience import eventually
from visor.testing import Server, server

CONFIG = "#/tree/apps/web/config?open=/apps,/apps/web"


@pytest.fixture
def client(registry: Server) -> Iterator[visor.Client[bytes]]:
    with registry.dial() as one:
        one.set("/apps/web/config", b'{"port":8080}', note="first")
        one.set("/apps/web/config", b'{"port":8081}', note="second")
        one.set("/apps/web/head", b"v1")
        one.set("/apps/evil", b"<img src=x onerror=alert(1)><script>alert(2)</script>")
        yield one


@pytest.fixture
def page(opened: Callable[..., Any], client: visor.Client[bytes]) -> Any:
    made = opened(CONFIG)
    made.wait_for_selector("pre.value")
    return made


def test_what_changes_is_there_at_once(page: Any, client: visor.Client[bytes]) -> None:
    rev = client.set("/apps/web/head", b"v2")
    row(page, "head").get_by_text(str(rev), exact=True).wait_for()
    client.set("/apps/web/new", b"")
    row(page, "new").wait_for()
    client.delete("/apps/web/new")
    row(page, "new").wait_for(state="detached")


def test_a_url_is_a_moment(page: Any, client: visor.Client[bytes], running: Running) -> None:
    first = [commit.rev for commit in client.history("/apps/web/config")][-2]
    page.goto(f"{running.url}/{CONFIG}&at={first}")
    page.locator("pre.value", has_text="8080").wait_for()
    page.get_by_text("Past, read only").wait_for()
    assert page.get_by_role("button", name="Change", exact=True).count() == 0
    page.get_by_role("button", name="Live").click()
    page.locator("pre.value", has_text="8081").wait_for()
    assert "at=" not in page.url


def change(page: Any, value: str, note: str) -> None:
    """Open the editor, fill it, and have shown what would change."""
    page.get_by_role("button", name="Change", exact=True).click()
    page.get_by_label("New value").fill(value)
    page.get_by_placeholder("kept in history").fill(note)
    page.get_by_role("button", name="Show what would change").click()


def test_a_change_shows_first_what_it_would_do(page: Any, client: visor.Client[bytes]) -> None:
    before = client.rev()
    change(page, '{"port":9090}', "another port")
    page.get_by_role("dialog").locator(".more", has_text="9090").wait_for()
    page.get_by_role("dialog").locator(".less", has_text="8081").wait_for()
    assert client.rev() == before, "it is a rehearsal"
    page.get_by_role("button", name="Write it").click()
    page.locator("pre.value", has_text="9090").wait_for()
    commit = next(client.history("/apps/web/config", reverse=True))
    assert (commit.rev, commit.note) == (before + 1, "another port")


def test_who_was_first_is_shown_beside_what_is_mine(page: Any, client: visor.Client[bytes]) -> None:
    change(page, "mine", "by me")
    page.get_by_role("dialog").locator(".more", has_text="mine").wait_for()
    client.set("/apps/web/config", b"theirs", note="they were first")
    page.get_by_role("button", name="Write it").click()
    page.get_by_role("alert").wait_for()
    dialog = page.get_by_role("dialog")
    dialog.locator(".less", has_text="theirs").wait_for()
    dialog.locator(".more", has_text="mine").wait_for()
    assert client.get("/apps/web/config").value == b"theirs"
    page.get_by_role("button", name="Keep mine, upon theirs").click()
    assert page.get_by_label("New value").input_value() == "mine"
    page.get_by_role("button", name="Show what would change").click()
    page.get_by_role("button", name="Write it").click()
    page.locator("pre.value", has_text="mine").wait_for()
    assert next(client.history("/apps/web/config", reverse=True)).note == "by me"


def test_a_revert_shows_first_what_it_would_do(
    page: Any, client: visor.Client[bytes], running: Running
) -> None:
    first = [commit.rev for commit in client.history("/apps/web/config")][-2]
    page.goto(f"{running.url}/{CONFIG}&at={first}")
    page.get_by_role("button", name="Revert to this").click()
    page.get_by_role("dialog").locator(".more", has_text="8080").wait_for()
    page.get_by_role("button", name="Revert", exact=True).click()
    eventually(lambda: "at=" not in hash_of(page), "now")
    page.locator("pre.value", has_text="8080").wait_for()
    assert client.get("/apps/web/config").value == b'{"port":8080}'


def test_keys_alone_do(page: Any, client: visor.Client[bytes]) -> None:
    page.locator(".tree").focus()
    page.keyboard.press("Home")
    eventually(lambda: hash_of(page).startswith("#/tree/apps?"), "the first row")
    page.keyboard.press("ArrowLeft")  # closes /apps
    row(page, "config").wait_for(state="detached")
    page.keyboard.press("ArrowRight")
    row(page, "web").wait_for()
    page.keyboard.press(",")
    eventually(lambda: "at=" in hash_of(page), "the past")
    page.keyboard.press("l")
    eventually(lambda: "at=" not in hash_of(page), "now")
    page.keyboard.press("?")
    page.get_by_role("dialog", name="Keys").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("dialog", name="Keys").wait_for(state="detached")


def test_a_value_is_text_whatever_it_says(page: Any, running: Running) -> None:
    page.goto(f"{running.url}/#/tree/apps/evil?open=/apps")
    page.locator("pre.value", has_text="<script>alert(2)</script>").wait_for()
    assert page.locator("pre.value img").count() == 0


def test_nothing_is_wider_than_a_phone(page: Any) -> None:
    page.set_viewport_size({"width": 360, "height": 740})
    page.locator("pre.value").wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_it_says_that_it_reconnects_and_does(
    browser: Any, registry: Server, client: visor.Client[bytes]
) -> None:
    page = blank(browser)
    with gateway(registry.address) as first:
        port = first.place[1]
        page.goto(f"{first.url}/{CONFIG}")
        page.wait_for_selector(".state.live")
    page.get_by_text("reconnecting in").wait_for()
    client.set("/apps/web/head", b"meanwhile")
    rev = client.rev()
    with gateway(registry.address, port=port):
        page.get_by_role("button", name="try now").click()
        page.wait_for_selector(".state.live")
        row(page, "head").get_by_text(str(rev), exact=True).wait_for()
    page.context.close()


def test_a_closed_registry_asks_for_a_token(browser: Any) -> None:
    with server() as closed, closed.dial() as client:
        client.set("/a", b"1")
        client.auth.set_user("boss", ["root"])
        token = client.auth.add_token("boss")
        client.auth.set_user("anonymous", [])
        page = blank(browser)
        with gateway(closed.address) as running:
            page.goto(running.url)
            page.get_by_label("Token").fill(token)
            page.get_by_role("button", name="Sign in").click()
            page.wait_for_selector(".state.live")
            row(page, "a").wait_for()
            assert token not in page.url
        page.context.close()


def test_screens_are_a_key_away_and_keep_the_moment(page: Any, client: visor.Client[bytes]) -> None:
    rev = client.rev()
    page.evaluate(f"location.hash = '#/tree?at={rev - 1}'")
    page.locator(".console.past").wait_for()
    for key, screen in (("f", "fleet"), ("t", "tree")):
        page.keyboard.press("g")
        page.keyboard.press(key)
        eventually(lambda screen=screen: hash_of(page) == f"#/{screen}?at={rev - 1}", screen)
        page.locator(f".screens [aria-current=page][href*={screen}]").wait_for()
    page.get_by_role("link", name="Cluster").click()
    page.get_by_role("region", name="Cluster").get_by_role("listitem").first.wait_for()
    assert hash_of(page) == "#/cluster"
