"""Time in the console: dragged through, replayed, pinned and compared, gone through change by change."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import visor
from tests.console.conftest import hash_of, moment
from tests.patience import eventually
from visor.testing import Server

PLACE = "#/tree/time/head?open=/time"
REVS = 40


@pytest.fixture(scope="module")
def revs(registry: Server) -> list[int]:
    """Return the revs that wrote `/time/head`, each with one of another file before it."""
    with registry.dial() as client:
        found = []
        for number in range(REVS // 2):
            client.set("/time/other", str(number).encode())
            found.append(client.set("/time/head", f"v{number}\nsame".encode(), note=f"note {number}"))
        client.set("/time/late", b"")
    return found


@pytest.fixture
def page(opened: Callable[..., Any], revs: list[int]) -> Iterator[Any]:
    made = opened(PLACE)
    made.wait_for_selector("pre.value")
    made.wait_for_selector(".strip input")
    yield made


def drag(page: Any, *shares: float) -> None:
    """Drag the slider over these shares of its width, faster than anything is answered."""
    page.locator(".strip input").evaluate(
        """(input, shares) => {
            const value = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, "value");
            for (const share of shares) {
                value.set.call(input, input.max * share);
                input.dispatchEvent(new Event("input", { bubbles: true }));
            }
        }""",
        shares,
    )


def test_all_that_is_shown_is_of_the_moment_that_is_dragged_to(
    page: Any, client: visor.Client[bytes], revs: list[int]
) -> None:
    drag(page, 0.2, 0.5, 0.8)
    slider, tree = page.get_by_role("slider", name="Moment"), page.locator(".tree")

    def settled() -> bool:
        told = (slider.get_attribute("aria-valuetext") or "").partition(",")[0]
        return told == f"rev {tree.get_attribute('data-rev')}" == f"rev {moment(page)}"

    eventually(settled, "one moment in the words, the rows and the URL")
    at = moment(page)
    assert 0 < at < client.rev()
    if at >= revs[0]:
        value = client.get("/time/head", at=at).value.decode()
        page.locator("pre.value", has_text=value.split("\n")[0]).wait_for()
    else:
        page.get_by_text("There is nothing at this path").wait_for()
    assert [entry.name for entry in client.ls("/time", at=at)] == page.locator(
        ".row[aria-level='2'] .name"
    ).all_inner_texts()
    assert page.evaluate("history.length") <= 3, "a drag is one step of the browser's history"


def test_a_moment_is_told_in_words(page: Any, revs: list[int], opened: Callable[..., Any]) -> None:
    page = opened(f"{PLACE}&at={revs[3]}")
    slider = page.get_by_role("slider", name="Moment")
    eventually(lambda: "by" in (slider.get_attribute("aria-valuetext") or ""), "who did it")
    rev, _, number, actor = slider.get_attribute("aria-valuetext").rsplit(", ", 3)
    assert (rev, number) == (f"rev {revs[3]}", "1 change")
    assert actor.startswith("by ")
    page.get_by_text("note 3", exact=False).first.wait_for()


def test_keys_go_through_time(page: Any, revs: list[int]) -> None:
    page.keyboard.press("[")
    eventually(lambda: moment(page) == revs[-1], "the last change of the file")
    page.keyboard.press("[")
    eventually(lambda: moment(page) == revs[-2], "the one before")
    page.keyboard.press("]")
    eventually(lambda: moment(page) == revs[-1], "and back")
    page.keyboard.press("]")
    eventually(lambda: moment(page) == 0, "now")
    page.locator(".strip input").focus()
    page.keyboard.press("Home")
    eventually(lambda: moment(page) >= 1, "the beginning")
    first = moment(page)
    page.keyboard.press("ArrowRight")
    eventually(lambda: moment(page) == first + 1, "a commit on")
    page.keyboard.press("End")
    eventually(lambda: moment(page) == 0, "now again")


def test_a_replay_goes_from_commit_to_commit_until_now(
    page: Any, revs: list[int], opened: Callable[..., Any]
) -> None:
    page = opened(f"{PLACE}&at={revs[2]}")
    page.locator("pre.value", has_text="v2").wait_for()
    page.evaluate(
        """() => {
            window.seen = [];
            new MutationObserver(() => seen.push(Number(document.querySelector(".tree").dataset.rev)))
              .observe(document.querySelector(".tree"), { attributeFilter: ["data-rev"] });
        }"""
    )
    page.keyboard.press(" ")
    eventually(lambda: moment(page) == 0, "the end")
    page.locator("pre.value", has_text=f"v{REVS // 2 - 1}").wait_for()
    eventually(lambda: page.evaluate("seen.at(-1)") > revs[-1], "the last commit")
    seen = page.evaluate("seen")
    assert seen == sorted(seen)


def test_any_key_stops_a_replay(page: Any, opened: Callable[..., Any], revs: list[int]) -> None:
    page = opened(f"{PLACE}&at={revs[2]}")
    hours = [
        {"rev": rev, "time": f"2026-01-01T{hour:02}:00:00Z", "changes": []}
        for hour, rev in enumerate(revs[3:])
    ]
    page.route(
        "**/v1/commits?from=*&limit=*", lambda route: route.fulfill(json={"items": hours, "next": None})
    )
    page.get_by_role("button", name="Replay at 1 times the speed").click()
    page.get_by_role("button", name="Stop").wait_for()
    page.keyboard.press("x")
    page.get_by_role("button", name="Replay at 1 times the speed").wait_for()
    assert revs[2] <= moment(page) < revs[-1]


def test_times_are_scaled_and_long_pauses_shortened(page: Any) -> None:
    times = page.evaluate(
        """async () => {
            const { timeline, reached } = await import("/console/replay.js");
            const commits = [0, 1000, 1500, 3601500].map((ms) => ({ time: new Date(ms).toISOString() }));
            const slow = timeline(commits, 1), fast = timeline(commits, 10);
            return [slow, fast, timeline(commits.slice(2), 10, fast[1], 1000), reached(fast, 99), reached(fast, 100)];
        }"""
    )
    assert times == [[0, 800, 1300, 2100], [0, 100, 150, 950], [150, 950], 1, 2]


def test_a_moment_is_pinned_and_compared(page: Any, revs: list[int], client: visor.Client[bytes]) -> None:
    page.keyboard.press("[")
    eventually(lambda: moment(page) == revs[-1], "the last change")
    page.keyboard.press("d")
    eventually(lambda: f"diff={revs[-1]}" in hash_of(page), "it is pinned")
    page.get_by_text("Nothing differs between the two.").wait_for()
    for rev in (revs[-2], revs[-3]):
        page.keyboard.press("[")
        eventually(lambda rev=rev: moment(page) == rev, "before")
    page.get_by_role("region", name="What differs").get_by_text("files differ").wait_for()
    at = moment(page)
    wanted = sorted(each.path for each in client.diff(at, revs[-1], "/**"))
    eventually(
        lambda: page.locator(".compare .list .name").all_inner_texts() == wanted, "the files that differ"
    )
    before, after = (client.get("/time/head", at=rev).value.decode().split("\n")[0] for rev in (at, revs[-1]))
    page.locator(".chosen .less", has_text=before).wait_for()
    page.locator(".chosen .more", has_text=after).wait_for()
    page.keyboard.press("Escape")
    eventually(lambda: "diff=" not in hash_of(page), "it is closed")


def test_any_two_versions_of_a_file_are_compared(page: Any, revs: list[int]) -> None:
    page.get_by_role("button", name=f"Look at rev {revs[-3]}").click()
    page.get_by_role("button", name=f"Compare rev {revs[-9]} with what is shown").click()
    page.locator(".chosen .less", has_text=f"v{REVS // 2 - 9}").wait_for()
    page.locator(".chosen .more", has_text=f"v{REVS // 2 - 3}").wait_for()
    assert f"diff={revs[-9]}" in hash_of(page)


def test_a_moment_that_is_compacted_says_so(opened: Callable[..., Any], registry: Server) -> None:
    with registry.dial() as client:
        for number in range(5):
            client.set("/time/old", str(number).encode())
        floor = client.rev()
        client.set("/time/old", b"new")
        client.compact(floor)
        page = opened(f"#/tree/time/old?open=/time&at={floor - 2}")
        page.get_by_text("This moment is no longer kept").wait_for()
        page.get_by_role("button", name="Back to now").click()
        page.locator("pre.value", has_text="new").wait_for()


@pytest.mark.parametrize(
    ("status", "text"), [(410, "History was compacted meanwhile"), (409, "Another cluster answers")]
)
def test_a_stream_that_cannot_go_on_is_begun_anew_and_that_is_said(
    opened: Callable[..., Any], client: visor.Client[bytes], revs: list[int], status: int, text: str
) -> None:
    page = opened(PLACE)
    page.wait_for_selector("pre.value")
    client.set("/time/other", b"an event, and so an id to go on from")
    eventually(lambda: page.locator(".tree").get_attribute("data-rev") == str(client.rev()), "the event")

    def refuse(route: Any) -> None:
        if "last-event-id" in route.request.headers:
            route.fulfill(status=status, json={"status": status}, content_type="application/problem+json")
        else:
            route.continue_()

    page.route("**/v1/watch*", refuse)
    page.evaluate("Date.now = (now => () => now() + 60000)(Date.now)")  # it wakes from a minute's sleep
    page.get_by_text(text).wait_for()
    rev = client.set("/time/head", b"read anew")
    page.locator("pre.value", has_text="read anew").wait_for()
    eventually(lambda: page.locator(".tree").get_attribute("data-rev") == str(rev), "and followed again")
