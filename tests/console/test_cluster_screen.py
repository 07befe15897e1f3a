"""The cluster on three real members: what each is, who uses it, and that it is right while members come and go."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from tests.admin.members import Members
from tests.console.conftest import hash_of
from tests.console.three import NAMES, members, running
from tests.patience import eventually
from visor.gateway.cluster_live import MORE

__all__ = ["members", "running"]


def card(page: Any, name: str) -> Any:
    return page.locator(".member").filter(has=page.locator(".node", has_text=name))


def verdict(page: Any, words: str) -> None:
    page.locator(".verdict").get_by_role("heading", name=words, exact=True).wait_for()


def test_each_member_is_shown_and_who_watches_what(opened: Callable[..., Any], members: Members) -> None:
    leader = members.leader()
    with members.dial("n2", actor="dashboard") as client:
        watch = client.watch("/apps/**")
        client.set("/apps/a", b"1")
        page = opened("#/cluster", viewport={"width": 1600, "height": 1000})
        verdict(page, "All is well")
        page.get_by_text(f"{leader} leads 3 voters").wait_for()
        for name in NAMES:
            one = card(page, name)
            one.get_by_text("leader" if name == leader else "voter", exact=True).wait_for()
            one.get_by_text(members.address(name)).wait_for()
        row = page.get_by_role("row").filter(has_text="/apps/**")
        row.filter(has_text="dashboard").filter(has_text="n2").get_by_text("live").wait_for()
        page.get_by_role("img", name=re.compile(r"^Writes: [\d.]+")).wait_for()
        page.get_by_role("tab", name="Watches").focus()
        page.keyboard.press("ArrowRight")
        eventually(lambda: hash_of(page) == "#/cluster/connections", "the next table")
        page.get_by_role("row").filter(has_text="dashboard").wait_for()
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("ArrowLeft")
        eventually(lambda: hash_of(page) == "#/cluster/leases", "the table before the first")
        page.get_by_text("There is no lease.").wait_for()
        watch.close()


def test_it_is_right_while_the_leader_and_the_majority_go_and_come(
    opened: Callable[..., Any], members: Members
) -> None:
    page = opened("#/cluster")
    verdict(page, "All is well")
    first = members.leader()
    assert first is not None
    members.stop(first)
    verdict(page, f"{first} is down")
    card(page, first).get_by_text("down", exact=True).wait_for()
    second = members.leader()
    page.get_by_text(re.compile(r"leads 3 voters in term \d+; 2 of 3 answer, 2 are needed")).wait_for()
    told = page.locator(".problems li").filter(has_text=f"{first}: no answer")
    link = told.get_by_role("link", name="replace the member")
    assert link.get_attribute("href") == "/docs/runbook#replace-a-dead-member"
    another = next(name for name in NAMES if name not in (first, second))
    members.stop(another)
    verdict(page, "There is no leader")
    page.get_by_text("1 of 3 voters answer, 2 are needed.").wait_for()
    page.locator(".problems li").filter(has_text="there is no leader").get_by_text(
        "bring members back"
    ).wait_for()
    members.start(another, first)
    verdict(page, "All is well")
    assert page.locator(".problems").count() == 0
    page.wait_for_selector(".state.live")


def test_it_asks_one_at_a_time_and_not_while_nobody_looks(opened: Callable[..., Any]) -> None:
    page = opened("#/tree")
    page.clock.install()
    asked: list[Any] = []

    def hold(route: Any) -> None:
        asked.append(route)  # the test answers it

    page.route("**/v1/cluster/live*", hold)
    page.evaluate("location.hash = '#/cluster'")
    eventually(lambda: page.evaluate("1") and len(asked) == 1, "the first request")
    page.clock.run_for(20_000)
    assert len(asked) == 1, "while it waits for an answer it asks nothing"
    see = "Object.defineProperty(document, 'hidden', {value: %s, configurable: true});"
    see += "document.dispatchEvent(new Event('visibilitychange'))"
    page.evaluate(see % "true")
    asked[0].continue_()
    verdict(page, "All is well")
    page.clock.run_for(60_000)
    assert len(asked) == 1, "hidden, it asks nothing"
    page.evaluate(see % "false")
    eventually(lambda: page.evaluate("1") and len(asked) == 2, "a request as soon as it is seen")
    asked[1].fulfill(status=503, json={"status": 503, "detail": "Not now."})
    verdict(page, "Nothing is heard")
    page.clock.run_for(2_000)
    eventually(lambda: page.evaluate("1") and len(asked) == 3, "the next request")
    asked[2].continue_()
    verdict(page, "All is well")


def test_a_member_of_an_older_version_tells_less_and_is_shown(opened: Callable[..., Any]) -> None:
    page = opened("#/tree")

    def older(route: Any) -> None:
        told = route.fetch().json()
        told["members"][0].update(dict.fromkeys(MORE))
        told["members"][0].update(server="visord/0.7.9", checkpoint={"index": 7, "made": 1}, log_entries=3)
        route.fulfill(json=told)

    page.route("**/v1/cluster/live*", older)
    page.evaluate("location.hash = '#/cluster'")
    card(page, NAMES[0]).get_by_text("0.7.9").wait_for()
    card(page, NAMES[0]).get_by_text("entry 7").wait_for()
    verdict(page, "All is well")


def test_nothing_of_it_is_wider_than_a_phone(opened: Callable[..., Any]) -> None:
    page = opened("#/cluster/connections", viewport={"width": 360, "height": 740})
    page.get_by_role("row").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.evaluate("document.querySelector('.cluster').scrollWidth") <= 360


SEE = """async () => {
  const see = await import("/console/samples.js"), words = await import("/console/words.js");
  const sample = (seconds, rev, members) => ({ time: 1000 * seconds, rev, members, read: 1, p50: null, p99: null });
  const samples = [
    sample(0, 10, { n1: { reads: 100 }, n2: { reads: 50 } }),
    sample(2, 14, { n1: { reads: 120 }, n2: { reads: 5 } }),  // n2 began anew
    sample(4, 14, { n1: { reads: 120 } }),                    // and does not answer now
    sample(20, 99, { n1: { reads: 900 } }),                   // nobody looked meanwhile
  ];
  const member = (name, answers, role = "voter") => ({ id: name, name, role, answers, heard: false, alarms: [] });
  const told = (members, leader) => ({ members, leader, needed: 2, problems: [], term: 3 });
  const three = (...up) => ["n1", "n2", "n3"].map((name) => member(name, up.includes(name)));
  const titles = [told(three("n1", "n2", "n3"), "n1"), told(three("n1", "n2"), "n1"), told(three("n1"), null)].map(
    (each) => [see.verdict(each).kind, see.verdict(each).title]);
  const { writes, reads } = see.series(samples);
  const kept = see.keep(samples, sample(400, 1, {})).length;
  return { writes, reads, titles, bytes: [0, 999, 1500, 25e9].map(words.bytes), kept };
}"""


def test_rates_and_words_are_what_was_counted(opened: Callable[..., Any]) -> None:
    told = opened("#/tree").evaluate(SEE)
    assert told["writes"] == [[2000, 2], [4000, 0]]
    assert told["reads"] == [[2000, 10], [4000, 0]]
    assert told["titles"] == [["good", "All is well"], ["warn", "n3 is down"], ["bad", "There is no leader"]]
    assert told["bytes"] == ["0 B", "999 B", "1.5 kB", "25 GB"]
    assert told["kept"] == 1
