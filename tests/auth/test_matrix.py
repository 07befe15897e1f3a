"""Every verb, by everybody who has all that it needs but one thing, on every route: made from the table of needs.

The rows are those of `test_needs`, which has one for every verb there is. For each there are users: one with exactly
the grants that the row names, and one for each of them who lacks it. The routes are a voter, a replica that hands
writes on, a voter that was started anew, those that are left when the leader has gone, and a retry of the same write.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

import pytest

from tests.admin.members import Members
from tests.auth.test_needs import ROWS, Row
from tests.wire import Refused, Wire, new_session
from visor.protocol import tokens, verbs
from visor.protocol.limits import DEFAULT
from visord.serving import authorization
from visord.state.auth.needs import Needs, needs

JUDGED: Final = [row for row in ROWS if row[4] and row[0] != "retry"]
"""Rows of what not everybody may; a retry is made of each write."""
WRITES: Final = [row for row in JUDGED if row[1][0] in verbs.WRITES - {verbs.RETRY}]
BOSS: Final = tokens.write(b"_boss_", b"b" * 32)


class Case(NamedTuple):
    """Somebody who asks what a row says. `missing`: the grant that it lacks; None: it lacks nothing."""

    user: str
    token: str
    row: Row
    missing: str | None


def cases() -> list[Case]:
    found = []
    for number, row in enumerate(JUDGED):
        for lacks, missing in enumerate([None, *row[2]]):
            place = number * 8 + lacks
            token = tokens.write(place.to_bytes(tokens.NUMBER, "big"), bytes(tokens.SECRET))
            found.append(Case(f"{number}.{lacks}", token, row, missing))
    return found


CASES: Final = cases()


def grants_of(case: Case) -> list[list[Any]]:
    needed = needs(case.row[1], DEFAULT)
    assert isinstance(needed, Needs)
    rows = [grant.row for grant in needed.grants if str(grant) != case.missing]
    return [row for row in rows if row[1][0] in (verbs.SEL_PATH, verbs.SEL_TREE, verbs.SEL_GLOB)]


def prepare(wire: Wire) -> None:
    """Make all users and their tokens, then close the registry."""

    def change(action: str, **arguments: Any) -> None:
        wire.call(verbs.AUTH, action, arguments)

    def proves(user: str, text: str) -> None:
        token = tokens.read(text)
        assert token is not None
        change("add_token", id=token.id, user=user, digest=tokens.digest(token.secret))

    for _ in range(10):  # the rows name revs up to 7
        wire.call(verbs.SET, "/a", b"1")
    change("set_user", name="boss", roles=["root"])
    proves("boss", BOSS)
    change("set_role", name="known", grants=[["read", [verbs.SEL_PATH, "/elsewhere"]]])
    for case in CASES:
        change("set_role", name=f"role-{case.user}", grants=grants_of(case))
        change("set_user", name=f"user-{case.user}", roles=[f"role-{case.user}", "known"])
        proves(f"user-{case.user}", case.token)
    change("set_user", name="anonymous", roles=[])


class Cluster(NamedTuple):
    members: Members
    addresses: dict[str, str]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A voter and a replica, with everybody in CASES."""
    folder: Path = tmp_path_factory.mktemp("matrix")
    with pytest.MonkeyPatch.context() as patched, Members(folder) as members:
        patched.setattr(authorization, "PRESENT_MS", 0)  # what was overwritten is history at once
        members.start("n1")
        members.start("n2", learner=True)
        addresses = {name: members.address(name) for name in ("n1", "n2")}
        with Wire(addresses["n1"]) as wire:
            prepare(wire)
        yield Cluster(members, addresses)


def answered(address: str, token: str | None, message: list[Any]) -> Refused | None:
    """Ask what a row says; return the refusal, None where it was done."""
    verb, _, *fields = message
    if verb in verbs.WRITES - {verbs.RETRY}:
        fields = fields[1:]  # `acked`, which the wire knows itself
    with Wire(address, session=new_session(), hello={"token": token} if token else {}) as wire:
        try:
            wire.call(verb, *fields)
        except Refused as refused:
            return refused
    return None


def judge(address: str, case: Case, message: list[Any]) -> None:
    refused = answered(address, case.token, message)
    if case.missing is None:
        assert refused is None or refused.code != "denied", (case, refused)
    else:
        assert refused is not None, case
        assert (refused.code, refused.details.get("missing")) == ("denied", case.missing), case


def ids(case: Case) -> str:
    return f"{case.row[0]} without {case.missing or 'nothing'}"


@pytest.mark.parametrize("case", CASES, ids=ids)
@pytest.mark.parametrize("route", ["n1", "n2"])
def test_each_may_what_it_was_granted_and_nothing_else(cluster: Cluster, route: str, case: Case) -> None:
    judge(cluster.addresses[route], case, case.row[1])


@pytest.mark.parametrize("case", [case for case in CASES if case.row in WRITES], ids=ids)
@pytest.mark.parametrize("route", ["n1", "n2"])
def test_a_retry_is_judged_as_the_write_in_it(cluster: Cluster, route: str, case: Case) -> None:
    verb, _, _, *fields = case.row[1]
    judge(cluster.addresses[route], case, [verbs.RETRY, 1, [verb, 1, 1, *fields], 1 << 40])


@pytest.mark.parametrize("row", JUDGED, ids=[row[0] for row in JUDGED])
@pytest.mark.parametrize("route", ["n1", "n2"])
def test_whoever_proves_nothing_may_nothing(cluster: Cluster, route: str, row: Row) -> None:
    refused = answered(cluster.addresses[route], None, row[1])
    assert refused is not None and refused.code == "denied"


def test_all_of_it_holds_after_a_restart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authorization, "PRESENT_MS", 0)
    with Members(tmp_path) as members:
        members.start("n1")
        with Wire(members.address("n1")) as wire:
            prepare(wire)
        members.stop("n1")
        members.start("n1")
        for case in CASES:
            if case.row[1][0] not in (verbs.RETAIN, verbs.ADMIN):
                judge(members.address("n1"), case, case.row[1])


def test_all_of_it_holds_after_a_failover(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authorization, "PRESENT_MS", 0)
    with Members(tmp_path) as members:
        members.start("n1", "n2", "n3")
        with Wire(members.address("n1")) as wire:
            prepare(wire)
        leader = next(name for name in ("n1", "n2", "n3") if members.node(name).engine.is_leader)
        left = [name for name in ("n1", "n2", "n3") if name != leader]
        members.stop(leader)
        members.until(lambda: any(members.node(name).engine.is_leader for name in left), "another leader")
        for number, case in enumerate(CASES):
            if case.row[1][0] not in (verbs.RETAIN, verbs.ADMIN):
                judge(members.address(left[number % 2]), case, case.row[1])
