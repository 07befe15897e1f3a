"""The fleet in a real browser: live, in the past, scaled under guard, by keys alone, on a phone, and in a rush."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from tests.console.conftest import blank, hash_of
from tests.console.test_access import show
from tests.gateway.running import Running, gateway
from tests.patience import eventually
from visor import views
from visor.registry import Instance, Registry, roles
from visor.testing import Server, server

HOSTS, EACH = 40, 7
IN_SIGHT = (
    "e => { const box = e.getBoundingClientRect(); return box.top > 100 && box.bottom <= innerHeight; }"
)
TOO_SMALL = """[...document.querySelectorAll(".fleet button, .fleet a, .heat .cell")]
  .filter((each) => getComputedStyle(each).display !== "inline" && each.getBoundingClientRect().width)
  .filter((each) => each.getBoundingClientRect().height < 23.5).map((each) => each.outerHTML)"""
"""What a finger misses: links within a sentence may be so small."""


@pytest.fixture(scope="module")
def fleet(registry: Server) -> Iterator[Registry]:
    """40 hosts with 7 instances of `shop` each, 20 pending ones of `mail`, a service and a view."""
    with registry.dial() as client:
        domain = Registry(client)
        domain.init()
        for name, proc in (("shop", "web"), ("mail", "smtp")):
            app = domain.register_app(f"git://{name}", "trusty", name)
            app.register_revision("v1")
            app.register_proc(proc)
        view = domain.snapshot()
        for number in range(HOSTS):
            for port in range(EACH):
                view.register_instance("shop", "v1", "web", f"h{number}:{8000 + port}")
        domain.scale("mail", "v1", "smtp", 20)
        service = domain.snapshot().new_service("front").register()
        service.register_endpoint("h1:8000", ip="h1")
        service.register_endpoint("elsewhere:80", ip="10.0.0.1")
        with views.announce(client, "h2", 8001):
            yield domain


@pytest.fixture
def page(opened: Callable[..., Any], fleet: Registry) -> Any:
    made = opened("#/fleet", viewport={"width": 1600, "height": 900})
    made.locator(".heat .cell").first.wait_for()
    return made


def running_one(fleet: Registry, host: str) -> Instance:
    found = [each for each in fleet.host_instances(host) if each.state == "running"]
    return found[0]


def cell(page: Any, instance: Instance) -> Any:
    return page.locator(f"#i{instance.id}")


def at_rev(page: Any, rev: int) -> None:
    page.locator(f".fleet[data-rev='{rev}']").wait_for()


def test_a_cell_says_all_about_its_instance_and_leads_to_its_files(page: Any, fleet: Registry) -> None:
    heat = page.get_by_role("grid", name="Instances by host")
    assert heat.get_attribute("aria-rowcount") == str(HOSTS + 1)  # and those that no host has
    assert heat.get_by_role("row").count() < HOSTS  # only what can be seen is drawn
    one = running_one(fleet, "h3")
    cell(page, one).click()
    assert hash_of(page) == f"#/fleet?pick={one.id}"
    about = page.get_by_role("article", name=f"Instance {one.id}")
    about.get_by_text(f"h3:{one.port}").wait_for()
    about.get_by_role("link", name=f"/apps/shop/instances/v1/web/_/{one.id:015d}").click()
    page.locator("pre.value", has_text=f'"id": {one.id}').wait_for()
    page.go_back()
    cell(page, one).wait_for()


def test_what_happens_is_there_at_once_and_marked(page: Any, fleet: Registry) -> None:
    one = running_one(fleet, "h4")
    cell(page, one).get_by_text("✕").wait_for(state="detached")
    failed = one.failed(reason="it burst")
    cell(page, one).get_by_text("✕").wait_for()
    assert "failed on h4" in (cell(page, one).get_attribute("aria-label") or "")
    newest = page.locator(".happened li").first
    newest.get_by_text("it burst").wait_for()
    newest.get_by_text(f"rev {failed.rev}").wait_for()
    page.get_by_role("button", name="failed").click()
    eventually(lambda: page.locator(".heat .cell").count() == 1, "only the failed one")
    assert hash_of(page) == "#/fleet?only=failed"


def test_a_scale_is_seen_first_and_done_to_what_was_seen(page: Any, fleet: Registry) -> None:
    page.get_by_role("navigation", name="Fleet").get_by_role("link", name="mail").click()
    page.get_by_role("button", name="Scale v1 smtp").click()
    dialog = page.get_by_role("dialog", name="Scale mail v1 · smtp")
    dialog.get_by_label("How many instances").fill("15")
    dialog.get_by_text("5 that nobody has claimed yet are taken back").wait_for()
    assert fleet.get_scale("mail", "v1", "smtp").count == 20
    fleet.scale("mail", "v1", "smtp", 22)
    dialog.get_by_text("The number changed meanwhile").wait_for()
    assert dialog.get_by_role("button", name="Scale to 15").is_disabled()
    dialog.get_by_role("button", name="Look again").click()
    dialog.get_by_text("7 that nobody has claimed yet are taken back").wait_for()
    dialog.get_by_role("button", name="Scale to 15").click()
    dialog.wait_for(state="detached")
    eventually(lambda: page.locator(".heat .cell.pending").count() == 15, "15 are left")
    assert fleet.get_scale("mail", "v1", "smtp").count == 15
    fleet.scale("mail", "v1", "smtp", 20)


def test_the_past_is_the_fleet_as_it_was_without_a_button(
    opened: Callable[..., Any], fleet: Registry, running: Running
) -> None:
    one = running_one(fleet, "h5")
    before = fleet.client.rev()
    one.exited(reason="over")
    page = opened(f"#/fleet/apps/shop?at={before}&pick={one.id}", viewport={"width": 1600, "height": 900})
    page.locator(".console.past .heat .cell").first.wait_for()
    page.locator("article .lead", has_text="running").wait_for()
    assert page.get_by_text("over", exact=True).count() == 0
    assert page.get_by_role("button", name="Scale").count() == 0
    fleet.client.set("/apps/shop/else", b"")  # what comes meanwhile is not shown
    page.keyboard.press(".")
    page.locator("article .lead", has_text="exited").wait_for()
    page.keyboard.press("l")
    page.locator(".console:not(.past)").wait_for()
    assert hash_of(page) == f"#/fleet/apps/shop?pick={one.id}"
    page.get_by_role("button", name="Scale v1 web").wait_for()


def test_however_fast_it_changes_one_reading_is_under_way(page: Any, fleet: Registry) -> None:
    under_way, most, whole = 0, 0, 0

    def begun(request: Any) -> None:
        nonlocal under_way, most, whole
        if "/v1/fleet" in request.url:
            under_way, whole = under_way + 1, whole + 1
            most = max(most, under_way)

    def ended(request: Any) -> None:
        nonlocal under_way
        under_way -= "/v1/fleet" in request.url

    page.on("request", begun)
    page.on("requestfinished", ended)
    for number in range(200):
        fleet.client.set("/apps/shop/rushing", b"%d" % number)
    rev = fleet.client.set("/apps/shop/rushing", b"the last")
    at_rev(page, rev)
    assert most == 1
    assert whole < 100
    # What is not of the domain asks for nothing.
    fleet.client.set("/elsewhere", b"")
    done = whole
    last = fleet.client.set("/apps/shop/rushing", b"again")
    at_rev(page, last)
    assert whole == done + 1


def test_what_came_while_the_gateway_was_away_is_there_when_it_is_back(
    browser: Any, registry: Server, fleet: Registry
) -> None:
    one = running_one(fleet, "h7")
    page = blank(browser)
    with gateway(registry.address) as first:
        port = first.place[1]
        page.goto(f"{first.url}/#/fleet/hosts/h7")
        cell(page, one).wait_for()
    page.get_by_text("reconnecting in").wait_for()
    one.failed(reason="nobody looked")
    with gateway(registry.address, port=port):
        page.get_by_role("button", name="try now").click()
        cell(page, one).get_by_text("✕").wait_for()
        page.locator(".happened li").first.get_by_text("nobody looked").wait_for()
    page.context.close()


def test_keys_alone_do(page: Any, fleet: Registry) -> None:
    page.keyboard.press("g")
    page.keyboard.press("t")
    eventually(lambda: hash_of(page) == "#/tree", "the tree")
    page.keyboard.press("g")
    page.keyboard.press("f")
    page.locator(".heat").focus()
    page.keyboard.press("ArrowDown")
    first = hash_of(page)
    assert first.startswith("#/fleet?pick=")
    page.get_by_role("article").wait_for()
    page.keyboard.press("ArrowRight")
    eventually(lambda: hash_of(page) not in (first, "#/fleet"), "the next")
    page.keyboard.press("ArrowLeft")
    eventually(lambda: hash_of(page) == first, "and back")
    for _ in range(30):
        page.keyboard.press("ArrowDown")
    here = page.locator(".heat .cell.here")
    eventually(
        lambda: here.count() == 1 and hash_of(page) == f"#/fleet?pick={here.get_attribute('data-id')}",
        "far below",
    )
    assert here.evaluate(
        "e => { const box = e.getBoundingClientRect(); return box.top > 0 && box.bottom < innerHeight; }"
    )
    page.keyboard.press("Escape")
    page.get_by_role("article").wait_for(state="detached")
    page.get_by_role("link", name="All instances").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    eventually(lambda: hash_of(page) == "#/fleet/apps/mail", "the app")
    page.get_by_role("button", name="Scale v1 smtp").focus()
    page.keyboard.press("Enter")
    page.get_by_role("dialog").wait_for()
    page.keyboard.press("Escape")
    page.get_by_role("dialog").wait_for(state="detached")
    assert page.evaluate("document.activeElement.textContent") == "Scale"


def test_tickets_services_and_views_say_who_and_how(page: Any, fleet: Registry, running: Running) -> None:
    page.goto(f"{running.url}/#/fleet/tickets")
    page.get_by_role("region", name="Open tickets").get_by_text("nobody yet").first.wait_for()
    page.goto(f"{running.url}/#/fleet/services")
    front = page.get_by_role("region", name="front")
    front.get_by_text("1 of 2 running").wait_for()
    front.get_by_text("no instance has this address").wait_for()
    page.goto(f"{running.url}/#/fleet/views")
    page.get_by_text("1 of 1 running").wait_for()
    page.get_by_text("as long as it lives").wait_for()


@pytest.mark.parametrize(
    ("scheme", "places"),
    [("light", ["", "/apps/mail", "/tickets", "/services", "/views"]), ("dark", ["/apps/mail", "/services"])],
)
def test_nothing_keeps_anybody_out(
    opened: Callable[..., Any], fleet: Registry, running: Running, scheme: str, places: list[str]
) -> None:
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="NO AXE: axe-playwright-python")
    pick, rev = running_one(fleet, "h6").id, fleet.client.rev()
    page = opened("#/fleet", color_scheme=scheme, reduced_motion="reduce")
    for place in (*places, places[-1] + f"?at={rev}"):
        page.goto(f"{running.url}/#/fleet{place}{'&' if '?' in place else '?'}pick={pick}")
        page.locator("article .lead").wait_for()
        page.locator(".past" if "at=" in place else ".console:not(.past)").wait_for()
        found = axe.Axe().run(page)
        assert found.violations_count == 0, f"{place} {found.generate_report()}"
        show(page, f"fleet-{scheme}{re.sub('[^a-z]+', '-', place)}")


def test_nothing_is_wider_than_a_phone(opened: Callable[..., Any], fleet: Registry) -> None:
    page = opened("#/fleet/apps/shop", viewport={"width": 360, "height": 740})
    one = running_one(fleet, "h0")
    cell(page, one).click()
    about = page.get_by_role("article")
    about.get_by_role("button", name="Close").click()
    about.wait_for(state="detached")
    show(page, "fleet-phone")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    small = page.evaluate(TOO_SMALL)
    assert small == []


@contextmanager
def looking_at(browser: Any, address: str, place: str) -> Iterator[Any]:
    with gateway(address) as running:
        page = blank(browser)
        page.goto(f"{running.url}/{place}")
        try:
            yield page
        finally:
            page.context.close()


def test_an_empty_fleet_says_what_to_do_until_somebody_did(browser: Any) -> None:
    with server() as empty, empty.dial() as client, looking_at(browser, empty.address, "#/fleet") as page:
        page.get_by_text("visor app register").wait_for()
        domain = Registry(client)
        domain.init()
        app = domain.register_app("git://web", "trusty", "web")
        page.get_by_role("link", name="web").first.click()
        page.get_by_text("visor rev register web v1").wait_for()
        app.register_revision("v1")
        app.register_proc("worker")
        page.get_by_role("button", name="Scale v1 worker").click()  # nothing of it runs, nobody has scaled it
        page.get_by_label("How many instances").fill("2")
        page.get_by_text("+2 are registered").wait_for()
        page.get_by_role("button", name="Scale to 2").click()
        eventually(lambda: page.locator(".heat .cell.pending").count() == 2, "both")


def test_who_may_only_look_is_offered_nothing(browser: Any) -> None:
    with server() as closed, closed.dial() as client:
        domain = Registry(client)
        domain.init()
        app = domain.register_app("git://web", "trusty", "web")
        app.register_revision("v1")
        app.register_proc("worker")
        domain.scale("web", "v1", "worker", 1)
        client.auth.set_role("looks", roles.viewer())
        client.auth.set_user("eve", ["looks"])
        client.auth.set_user("boss", ["root"])
        token = client.auth.add_token("eve")
        client.auth.set_user("anonymous", [])
        with looking_at(browser, closed.address, "#/fleet/apps/web") as page:
            page.get_by_label("Token").fill(token)
            page.get_by_role("button", name="Sign in").click()
            page.locator(".heat .cell.pending").wait_for()
            page.get_by_text("You may not read the past").wait_for()
            assert page.get_by_role("button", name="Scale").count() == 0
