"""One browser for all tests of the console; the registry and the gateway are those of the gateway's tests.

It takes Chromium (of the system) and playwright: `pip install playwright`. Without them these tests are skipped.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import visor
from tests.gateway.conftest import registry, running
from tests.gateway.running import Running
from tests.patience import PATIENCE
from visor.testing import Server

__all__ = ["blank", "browser", "client", "hash_of", "moment", "opened", "registry", "row", "running"]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="package")
def browser() -> Iterator[Any]:
    """Chromium; it ends with this folder's tests, for playwright keeps an event loop in this thread until then."""
    if CHROMIUM is None:
        pytest.skip("NO BROWSER TESTS: chromium is not installed")
    playwright = pytest.importorskip(
        "playwright.sync_api", reason="NO BROWSER TESTS: playwright is not installed"
    )
    with playwright.sync_playwright() as tool:
        # Its own sandbox needs what containers do not give; what it loads here is ours.
        started = tool.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"], timeout=PATIENCE * 1000
        )
        yield started
        started.close()


@pytest.fixture
def client(registry: Server) -> Iterator[visor.Client[bytes]]:
    with registry.dial() as one:
        yield one


def blank(browser: Any, **options: Any) -> Any:
    """Return an empty page of its own, that waits as long as a slow machine takes."""
    context = browser.new_context(**options)
    context.set_default_timeout(PATIENCE * 1000)
    return context.new_page()


@pytest.fixture
def opened(browser: Any, running: Running) -> Iterator[Callable[..., Any]]:
    """Opens pages: `opened("#/tree", viewport=...)`. Their faults, and what the policy keeps out, fail the test."""
    faults: list[str] = []
    contexts: list[Any] = []

    def note(said: Any) -> None:
        if "Content Security Policy" in said.text:
            faults.append(said.text)

    def open_(place: str, **options: Any) -> Any:
        page = blank(browser, **{"viewport": {"width": 1280, "height": 800}, **options})
        contexts.append(page.context)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", note)
        page.on("dialog", lambda dialog: faults.append(dialog.message))
        page.goto(f"{running.url}/{place}")
        page.wait_for_selector(".state.live")
        return page

    yield open_
    for context in contexts:
        context.close()
    assert faults == []


def hash_of(page: Any) -> str:
    """Return where the console is. (What playwright waits for by itself is a script that the policy keeps out.)"""
    found: str = page.evaluate("location.hash")
    return found


def moment(page: Any) -> int:
    """Return the rev that the URL names; 0 for now."""
    found = re.search(r"[?&]at=([0-9]+)", hash_of(page))
    return int(found[1]) if found else 0


def row(page: Any, name: str) -> Any:
    """Return the row of the tree with this name."""
    return page.locator(".tree .row").filter(has=page.locator(".name", has_text=name))
