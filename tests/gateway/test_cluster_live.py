"""`/v1/cluster/live`: what is true of each member, however many answer and whether or not anybody leads."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import visor
from tests.gateway.running import Caller
from visor.gateway.cluster_live import Looked, document
from visor.members import Member, Membership, Status, status_from_wire

NAMES = ("n1", "n2", "n3")


def member(name: str, **more: Any) -> Member:
    return replace(Member(f"id-{name}", name, f"{name}:8047", f"{name}:8046", True, False, False), **more)


def status(name: str, leader: str | None = "n1", term: int = 7, rev: int = 5) -> Status:
    """Return what a member tells: who it is, whom it follows."""
    rows = [
        {**dict.fromkeys(("peer", "client"), f"{each}:1"), "id": f"id-{each}", "name": each, "role": "voter",
         "leader": each == leader, "self": each == name}
        for each in NAMES
    ]  # fmt: skip
    told = {"cluster": "c", "node": name, "member": f"id-{name}", "leader": leader, "term": term, "rev": rev}
    return status_from_wire({**told, "members": rows, "committed": 9, "applied": 9, "alarms": []})


def asked(**told: Status | str) -> list[Looked]:
    """Return what came of asking: a status, or why there is none."""
    return [
        Looked(member(name), why=one) if isinstance(one, str) else Looked(member(name), one)
        for name, one in told.items()
    ]


def leading(**more: dict[str, Any]) -> Membership:
    """Return the members as n1 tells that leads them."""
    known = [
        member(name, leader=name == "n1", **{"silent": 0.1, "behind": 0, **more.get(name, {})})
        for name in NAMES
    ]
    return Membership("c", "id-n1", "id-n1", 7, 9, 5, tuple(known))


def words(told: dict[str, Any]) -> list[str]:
    return [problem["text"] for problem in told["problems"]]


def test_all_well_is_no_problem() -> None:
    told = document(leading(), asked(n1=status("n1"), n2=status("n2"), n3=status("n3")))
    assert (told["healthy"], told["problems"], told["leader"]) == (True, [], "id-n1")
    assert [each["answers"] for each in told["members"]] == [True, True, True]


def test_a_member_that_is_down_is_named_with_what_to_do() -> None:
    told = document(
        leading(n3={"silent": 60.0}), asked(n1=status("n1"), n2=status("n2"), n3="no answer at n3:8046: x")
    )
    (problem,) = told["problems"]
    assert (problem["text"], problem["member"]) == ("n3: no answer at n3:8046: x", "n3")
    assert problem["do"].startswith("start it")
    assert problem["page"] == "/docs/runbook#no-answer-at"
    assert told["members"][2]["answers"] is told["members"][2]["heard"] is False


def test_who_cannot_be_asked_from_here_and_is_heard_is_no_trouble() -> None:
    told = document(leading(), asked(n1=status("n1"), n2="no answer at n2:8046: x", n3="no answer"))
    assert told["healthy"]
    away = told["members"][1]
    assert (away["answers"], away["heard"], away["problem"]) == (False, True, "no answer at n2:8046: x")


def test_a_leader_that_only_others_name_is_none() -> None:
    """It has just died, and they have not noticed yet."""
    told = document(None, asked(n1="no answer at n1:8046: x", n2=status("n2"), n3=status("n3")))
    assert told["leader"] is None
    assert not any(each["leader"] or each["heard"] for each in told["members"])
    assert any(line.startswith("there is no leader") for line in words(told))
    assert all(problem["do"] for problem in told["problems"])


def test_of_two_that_say_they_lead_it_is_the_one_of_the_later_term() -> None:
    late, old = status("n2", "n2", term=8), status("n1", "n1", term=7, rev=99)
    assert document(None, asked(n1=old, n2=late, n3=status("n3", None)))["leader"] == "id-n2"


def test_a_real_one_tells_its_figures_and_who_uses_it(http: Caller, client: visor.Client[bytes]) -> None:
    client.set("/live/a", b"1")
    with client.watch("/live/**"):
        told = http.get("/v1/cluster/live?largest=5").json()
    (only,) = told["members"]
    assert told["leader"] == only["id"]
    assert told["read_seconds"] > 0
    assert only["connections"] >= 2
    assert only["commit"]["count"] >= 1
    assert "/live/**" in [row["what"] for row in only["tables"]["watches"]]
    assert http.get("/v1/cluster/live").json()["members"][0]["tables"] is None
    assert http.problem("GET", "/v1/cluster/live?largest=51") == (400, "usage")
