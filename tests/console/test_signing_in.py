"""Signing in with a browser: it outlasts a reload, no script reads the token, what one may not do is not offered."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

import visor
from tests.console.conftest import CHROMIUM
from tests.gateway.running import Running, gateway
from tests.patience import PATIENCE
from visor.auth import Grant
from visor.testing import server

NAMES = frozenset(("registry.example",))


@dataclass
class Closed:
    """A closed registry, a gateway before it, an operator and somebody who may read alone."""

    running: Running
    admin: visor.Client[bytes]
    boss: str
    reader: str


@pytest.fixture(scope="module")
def closed() -> Iterator[Closed]:
    with server() as registry, registry.dial() as client:
        client.set("/apps/a", b"1")
        client.auth.set_user("boss", ["root"])
        client.auth.set_role("reader", [Grant("read", "/**"), Grant("history", "/**")])
        client.auth.set_user("ada", ["reader"])
        boss, reader = client.auth.add_token("boss"), client.auth.add_token("ada")
        client.auth.set_user("anonymous", [])
        with (
            visor.dial(registry.address, token=boss) as admin,
            gateway(registry.address, names=NAMES) as running,
        ):
            yield Closed(running, admin, boss, reader)


@pytest.fixture
def visit(browser: Any, closed: Closed) -> Iterator[Callable[..., Any]]:
    """Opens pages of one browser, which share what it keeps; a fault of any fails the test."""
    faults: list[str] = []
    context = browser.new_context()
    context.set_default_timeout(PATIENCE * 1000)

    def open_(place: str = "") -> Any:
        page = context.new_page()
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on(
            "console",
            lambda said: faults.append(said.text) if "Content Security Policy" in said.text else None,
        )
        page.goto(f"{closed.running.url}/{place}")
        return page

    yield open_
    context.close()
    assert faults == []


def sign_in(page: Any, token: str) -> None:
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Sign in").click()


def test_a_session_lasts_over_a_reload_in_all_tabs_and_ends_in_all(
    visit: Callable[..., Any], closed: Closed
) -> None:
    page = visit()
    sign_in(page, "vis_nothing_" + "a" * 59)
    page.get_by_role("alert").wait_for()
    sign_in(page, closed.boss)
    page.wait_for_selector(".state.live")
    page.locator(".who", has_text="boss").wait_for()
    (cookie,) = page.context.cookies()
    assert cookie["name"].startswith("__Host-visor")
    assert (cookie["httpOnly"], cookie["secure"], cookie["sameSite"]) == (True, True, "Strict")
    secret = closed.boss.split("_")[-1]
    kept = page.evaluate(
        "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, location.href])"
    )
    assert secret not in kept + cookie["value"]
    page.reload()
    page.wait_for_selector(".state.live")
    other = visit()
    other.wait_for_selector(".state.live")
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("Token").wait_for()
    other.get_by_label("Token").wait_for()
    assert page.context.cookies() == []


def test_what_one_may_not_do_is_not_offered(visit: Callable[..., Any], closed: Closed) -> None:
    page = visit("#/tree/apps/a?open=/apps")
    sign_in(page, closed.reader)
    page.locator("pre.value", has_text="1").wait_for()
    with page.expect_download() as coming:
        page.get_by_role("button", name="Download").click()
    assert coming.value.suggested_filename == "a"
    page.get_by_role("button", name="One commit back").click()
    page.get_by_text("the past. Nothing can be written here.").wait_for()
    assert page.get_by_role("button", name="Revert").count() == 0
    page.get_by_role("button", name="Live").click()
    page.locator("pre.value", has_text="1").wait_for()
    assert page.get_by_role("button", name="Change", exact=True).count() == 0
    page.get_by_role("button", name="Sign out").click()
    sign_in(page, closed.boss)
    page.get_by_role("button", name="Change", exact=True).wait_for()


def test_who_may_read_parts_sees_those_and_not_a_refusal(visit: Callable[..., Any], closed: Closed) -> None:
    closed.admin.set("/team/plan", b"ours")
    closed.admin.set("/apps/web/head", b"v1")
    closed.admin.auth.set_role("part", [Grant("read", "/team/**"), Grant("read", "/apps/web/head")])
    closed.admin.auth.set_user("eve", ["part"])
    page = visit("#/tree")
    sign_in(page, closed.admin.auth.add_token("eve"))
    names = page.locator(".tree .row .name")
    names.filter(has_text="team/").click()
    names.filter(has_text="plan").click()
    page.locator("pre.value", has_text="ours").wait_for()
    names.filter(has_text="apps/").click()
    names.filter(has_text="web/").click()
    names.filter(has_text="head").wait_for()
    assert names.all_inner_texts() == ["apps/", "web/", "head", "team/", "plan"]
    page.get_by_text("You may read parts of this").wait_for()
    assert page.locator(".notice").count() == 0
    closed.admin.set("/team/other", b"new")
    names.filter(has_text="other").wait_for()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_label("Token").wait_for()


def test_over_plain_http_from_elsewhere_the_tab_alone_knows_and_says_so(browser: Any, closed: Closed) -> None:
    rules = f"--host-resolver-rules=MAP registry.example 127.0.0.1:{closed.running.place[1]}"
    other = browser.browser_type.launch(
        executable_path=CHROMIUM, args=["--no-sandbox", rules], timeout=PATIENCE * 1000
    )
    try:
        page = other.new_page()
        page.set_default_timeout(PATIENCE * 1000)
        page.goto("http://registry.example/")
        sign_in(page, closed.boss)
        page.get_by_text("You are signed in for this tab only").wait_for()
        page.wait_for_selector(".state.live")
        assert page.evaluate("localStorage.length") == 0
        assert page.context.cookies() == []
        page.reload()
        page.get_by_label("Token").wait_for()
    finally:
        other.close()
