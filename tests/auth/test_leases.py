"""Leases belong to who granted them, on every route; the leader judges, as it alone knows all that was acknowledged."""

from __future__ import annotations

from typing import Any, Final

import pytest

from tests.auth.test_serving import by, change, closed, refused
from tests.leases.clerk import Desk
from tests.wire import Wire
from visor.protocol import verbs
from visor.testing import Server
from visord.state.auth.auth_store import AuthStore
from visord.state.refusal import Refusal

__all__ = ["closed"]
APPS: Final = "/apps/web"


def test_a_lease_of_another_user_is_not_there(closed: Server) -> None:
    with by(closed, "ci") as ci, by(closed, "viewer") as viewer, by(closed, "boss") as boss:
        lease = ci.call(verbs.GRANT, 60_000)[1]
        ci.call(verbs.SET, APPS, b"1", 0, 0, lease)
        assert ci.call(verbs.LEASE, lease)[3] == [APPS]
        for verb, *fields in (
            (verbs.LEASE, lease),
            (verbs.KEEPALIVE, [lease]),
            (verbs.REVOKE, lease),
            (verbs.LEASE, lease + 5),  # it is the same as of one that was never granted
        ):
            assert refused(viewer, verb, *fields) == "lease_not_found", verb
        assert boss.call(verbs.KEEPALIVE, [lease])[0][0] == lease
        mine = boss.call(verbs.GRANT, 60_000)[1]
        for write in (
            [verbs.SET, APPS, b"2", 0, 0, mine],
            [verbs.TXN, [], [[verbs.T_SET, APPS, b"2", mine]], []],
            [verbs.TXN, [[verbs.G_EXISTS, "/apps/none"]], [], [[verbs.T_SET, APPS, b"2", mine]]],
        ):
            assert refused(ci, *write) == "lease_not_found", write
        assert ci.call(verbs.GET, APPS)[1][1] == b"1"
        boss.call(verbs.REVOKE, lease)
        assert ci.call(verbs.GET, APPS)[1] is None


def test_who_may_read_what_is_attached_looks_at_a_lease_of_somebody_unproven(closed: Server) -> None:
    """Its number is a small one: else it would tell names of files to who may not read them."""
    with by(closed, "boss") as boss, by(closed, "ci") as ci, by(closed, "viewer") as viewer:
        everything = [["write", [verbs.SEL_TREE, "/"]]]
        change(boss, "set_role", name="writer", grants=everything)
        change(boss, "set_user", name="anonymous", roles=["writer"])
        with Wire(closed.address) as wire:
            lease = wire.call(verbs.GRANT, 60_000)[1]
            wire.call(verbs.SET, "/secret", b"2", 0, 0, lease)
        change(boss, "set_user", name="anonymous", roles=[])
        assert refused(ci, verbs.LEASE, lease) == "lease_not_found"
        assert refused(ci, verbs.REVOKE, lease) == "lease_not_found"
        assert viewer.call(verbs.LEASE, lease)[3] == ["/secret"]
        assert refused(viewer, verbs.REVOKE, lease) == "lease_not_found"
        boss.call(verbs.REVOKE, lease)


def test_the_author_of_a_question_is_the_nodes_to_say(closed: Server) -> None:
    """Else whoever adds a field would ask in the name of the cluster itself."""
    with by(closed, "ci") as ci, by(closed, "viewer") as viewer:
        lease = ci.call(verbs.GRANT, 60_000)[1]
        for author in ("", "user:ci/", "user:boss/", None):
            assert refused(viewer, verbs.KEEPALIVE, [lease], author) == "lease_not_found"
            assert refused(viewer, verbs.LEASE, lease, author) == "lease_not_found"
            assert refused(ci, verbs.KEEPALIVE, [lease], author) == "bad_request"
            assert refused(ci, verbs.LEASE, lease, author) == "bad_request"


@pytest.mark.parametrize(
    ("author", "answered"),
    [
        ("user:ci/", True),
        ("user:boss/", True),
        ("user:viewer/", False),
        ("user:nobody/", False),
        ("10.0.0.7", False),
        ("", True),
        (None, True),
    ],
)
def test_the_leader_judges_by_what_it_has_applied(author: str | None, answered: bool) -> None:
    desk = Desk()
    machine = desk.clerk.machine
    table = AuthStore()
    for name, roles in (("boss", ["root"]), ("ci", []), ("viewer", []), ("anonymous", [])):
        assert table.change("set_user", {"name": name, "roles": roles}, 0) is None
    lease = desk.grant(60_000)
    machine.take_rights(table)
    machine.store.leases.by_id[lease].owner = "user:ci"
    for verb, asked in ((verbs.KEEPALIVE, [lease]), (verbs.LEASE, lease)):
        told: list[Any] = []
        desk.leases.request(verb, [asked] if author is None else [asked, author], told.append)
        assert (not isinstance(told[0], Refusal)) == answered, told
