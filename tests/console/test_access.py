"""For everybody: no finding of axe in any state, light and dark; without a mouse, motion or single keys; at any size.

What it looks like is kept where VISOR_SCREENSHOTS says: `.ci/run` does.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

import pytest

import visor
from tests.console.conftest import hash_of, row
from tests.patience import eventually
from visor.testing import Server

CONFIG: Final = "#/tree/apps/web/config?open=/apps,/apps/web"
AXE: Final = find_spec("axe_playwright_python")
RULES: Final = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}


@pytest.fixture(scope="module")
def revs(registry: Server) -> dict[str, int]:
    with registry.dial() as client:
        found = {}
        for app in ("api", "billing", "search", "web"):
            for number, note in enumerate(("first", "raise the port", "tune the pool")):
                value = {
                    "port": 8080 + number,
                    "host": f"10.0.0.{number}",
                    "debug": False,
                    "pool": {"min": 1},
                }
                found[app] = client.set(f"/apps/{app}/config", json.dumps(value).encode(), note=note)
            client.set(f"/apps/{app}/head", b"v2", note="roll out")
        for number in range(60):
            client.set(f"/hosts/h{number:03}/state", b"up")
        client.set("/apps/web/gone", b"last words")
        found["last"] = client.delete("/apps/web/gone", note="not needed any more")
    return found


def show(page: Any, name: str) -> None:
    """Keep what it looks like, if somebody wants to see it."""
    folder = os.environ.get("VISOR_SCREENSHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
        page.screenshot(path=f"{folder}/{name}.png")


def findings(page: Any) -> list[str]:
    """Return what axe finds, one line each."""
    assert AXE is not None and AXE.origin is not None
    page.evaluate((Path(AXE.origin).parent / "axe.min.js").read_text())
    told = page.evaluate("rules => axe.run(document, rules)", RULES)
    return [
        f"{each['id']}: {node['html'][:120]} {node.get('failureSummary', '')[:200]}"
        for each in told["violations"]
        for node in each["nodes"]
    ]


def edit(page: Any) -> None:
    page.get_by_role("button", name="Change", exact=True).click()
    page.get_by_label("New value").fill('{"port": 9000}')
    page.get_by_role("button", name="Show what would change").click()
    page.get_by_role("button", name="Write it").wait_for()


def blame(page: Any) -> None:
    page.get_by_role("button", name="Who changed what").click()
    page.locator("table.blame td").first.wait_for()


def keys(page: Any) -> None:
    page.keyboard.press("?")
    page.get_by_role("dialog", name="Keys").wait_for()


STATES: Final[dict[str, tuple[str, str, Callable[[Any], None] | None]]] = {
    "live": (CONFIG, "pre.value", None),
    "past": (CONFIG + "&at=14", "pre.value", None),
    "compared": (CONFIG + "&at=30&diff=2", ".chosen .diff", None),
    "found": (CONFIG + "&q=/apps/**", ".found .row", None),
    "found-values": (CONFIG + "&q=/apps/** 8081", ".found p", None),
    "gone": ("#/tree/apps/web/gone?open=/apps,/apps/web", ".gone", None),
    "blame": ("#/tree/apps/web?open=/apps,/apps/web", ".history", blame),
    "edit": (CONFIG, "pre.value", edit),
    "keys": (CONFIG, "pre.value", keys),
}


def states(page: Any, how: str) -> Iterator[str]:
    """Bring a page to each of the states, one after the other; `how`: what their pictures are called by."""
    url = page.url.split("#")[0]
    for name, (place, there, act) in STATES.items():
        page.goto("about:blank")
        page.goto(url + place)
        page.locator(there).first.wait_for()
        page.locator(".strip input").wait_for()
        if act is not None:
            act(page)
        show(page, f"{name}-{how}")
        yield name


@pytest.mark.skipif(AXE is None, reason="axe-playwright-python is not installed")
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_any_screen(
    opened: Callable[..., Any], revs: dict[str, int], scheme: str
) -> None:
    page = opened("#/tree", color_scheme=scheme, reduced_motion="reduce")
    found = {}
    for name in states(page, scheme):
        found[name] = findings(page)
    told = sorted({one for each in found.values() for one in each})
    assert not told, "\n".join(told)


def wide(page: Any) -> bool:
    scrolls: bool = page.evaluate(
        "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    )
    return scrolls


@pytest.mark.parametrize(("width", "height"), [(360, 740), (640, 400), (1600, 1000)])
def test_nothing_is_wider_than_what_it_is_shown_on(
    opened: Callable[..., Any], revs: dict[str, int], width: int, height: int
) -> None:
    """640 by 400 is 1280 by 800 at twice the size."""
    page = opened("#/tree", viewport={"width": width, "height": height})
    for name in states(page, str(width)):
        assert not wide(page), name


def test_a_file_is_found_changed_and_reverted_without_a_mouse(
    opened: Callable[..., Any], client: visor.Client[bytes]
) -> None:
    client.set("/keys/only", b"before")
    page = opened("#/tree")

    def tab_to(name: str) -> None:
        for _ in range(60):
            page.keyboard.press("Tab")
            said = page.evaluate(
                "document.activeElement.getAttribute('aria-label') || document.activeElement.textContent.trim()"
            )
            if said == name:
                return
        raise AssertionError(f"{name} is not reached by Tab")

    page.keyboard.press("/")
    page.keyboard.type("/keys/only")
    page.keyboard.press("Enter")
    page.locator("pre.value", has_text="before").wait_for()
    tab_to("Files")
    tab_to("Change")
    page.keyboard.press("Enter")
    page.get_by_role("dialog").wait_for()
    page.keyboard.press("Control+a")
    page.keyboard.type("after")
    tab_to("Show what would change")
    page.keyboard.press("Enter")
    page.get_by_role("button", name="Write it").wait_for()
    tab_to("Write it")
    page.keyboard.press("Enter")
    page.locator("pre.value", has_text="after").wait_for()
    page.keyboard.press("[")
    page.keyboard.press("[")
    page.locator("pre.value", has_text="before").wait_for()
    tab_to("Revert to this")
    page.keyboard.press("Enter")
    page.get_by_role("dialog").locator(".more", has_text="before").wait_for()
    tab_to("Revert")
    page.keyboard.press("Enter")
    eventually(lambda: client.get("/keys/only").value == b"before", "it is reverted")
    eventually(lambda: "at=" not in hash_of(page), "and now is shown")


def test_single_keys_are_switched_off_and_then_begin_names(
    opened: Callable[..., Any], revs: dict[str, int]
) -> None:
    page = opened(CONFIG)
    row(page, "config").wait_for()
    page.keyboard.press("?")
    page.get_by_label("Single keys do this everywhere", exact=False).uncheck()
    page.keyboard.press("Escape")
    page.locator("body").press(",")
    page.locator("body").press("?")
    assert page.get_by_role("dialog").count() == 0
    assert "at=" not in hash_of(page)
    page.locator(".tree").focus()
    page.keyboard.press("Home")
    eventually(
        lambda: not hash_of(page).startswith("#/tree/apps/web"),
        "the first entry: letters begin names beside it",
    )
    page.keyboard.type("h")
    eventually(lambda: hash_of(page).startswith("#/tree/hosts"), "type-ahead takes all letters")
    page.reload()
    page.wait_for_selector(".state.live")
    page.locator("body").press("?")
    assert page.get_by_role("dialog").count() == 0, "it stays so"


def test_nothing_moves_for_who_wants_no_motion(
    opened: Callable[..., Any], client: visor.Client[bytes], revs: dict[str, int]
) -> None:
    still, moving = (opened(CONFIG, reduced_motion=each) for each in ("reduce", "no-preference"))
    row(still, "head").wait_for()
    row(moving, "head").wait_for()
    client.set("/apps/web/head", b"changed")
    for page, animation in ((moving, "flash"), (still, "none")):
        fresh = page.locator(".row.fresh", has_text="head")
        fresh.wait_for()
        assert fresh.evaluate("row => getComputedStyle(row).animationName").startswith(animation)
