"""How many leases one may hold, and whose ends for another's."""

from __future__ import annotations

import random
from typing import Any

import msgpack

from tests.leases.clerk import Clerk
from visor.protocol import verbs as v
from visor.protocol.limits import Limits
from visord.state.exporting import export_commits
from visord.state.importing import import_commits
from visord.state.lease import Lease
from visord.state.refusal import Refusal
from visord.state.tables import export_tables, import_tables


def grant(clerk: Clerk, session: bytes | None, owner: str = "a", wanted: int = 0) -> Any:
    """Return the id of a new lease, or the refusal."""
    clerk.write_id += 1
    (outcome,) = clerk.send([v.GRANT, clerk.write_id, 0, 5000, wanted], session=session, owner=owner)
    return outcome if isinstance(outcome, Refusal) else outcome[1]


def alive(clerk: Clerk) -> list[int]:
    return list(clerk.machine.store.leases.by_id)


def test_one_address_cannot_take_all_leases() -> None:
    clerk = Clerk(Limits(leases=20, owner_leases=6, anonymous_leases=3))
    for _ in range(100):
        grant(clerk, b"greedy")
    assert len(alive(clerk)) == 6
    refused = grant(clerk, b"greedy")
    assert (refused.code, refused.details) == (
        "too_large",
        {"what": "leases of one address", "limit": 6, "actual": 7},
    )
    assert grant(clerk, b"good", "b") == 7
    assert grant(clerk, b"good", "a") == 8, "a session beside it gets its share"
    assert alive(clerk) == [1, 2, 3, 4, 5, 7, 8], "at the expense of the newest empty lease of who has most"


def test_a_lease_with_files_never_ends_for_another() -> None:
    clerk = Clerk(Limits(leases=20, owner_leases=3, anonymous_leases=3))
    leases = [grant(clerk, b"holder") for _ in range(3)]
    for lease in leases:
        clerk.set(f"/{lease}", lease)
    assert grant(clerk, b"other").code == "too_large"
    assert alive(clerk) == leases
    clerk.write(v.DELETE, "/2")
    assert grant(clerk, b"other") == 4
    assert alive(clerk) == [1, 3, 4]
    assert clerk.machine.store.leases.news == [(2, 0), (4, 5000)], "it ended as if it were revoked"


def test_what_was_asked_for_without_a_session_is_few_and_the_oldest_empty_one_goes() -> None:
    clerk = Clerk(Limits(leases=20, owner_leases=10, anonymous_leases=3))
    for _ in range(3):
        grant(clerk, None)
    clerk.set("/1", 1)
    assert grant(clerk, None) == 4
    assert alive(clerk) == [1, 3, 4]
    clerk.set("/3", 3)
    clerk.set("/4", 4)
    refused = grant(clerk, None)
    assert refused.details == {"what": "leases of one address without a session", "limit": 3, "actual": 4}
    assert grant(clerk, None, "b") == 5
    assert grant(clerk, b"session") == 6


def test_when_all_are_too_many_the_owner_with_most_gives() -> None:
    clerk = Clerk(Limits(leases=8, owner_leases=8, anonymous_leases=8))
    for _ in range(6):
        grant(clerk, b"many", "a")
    for _ in range(2):
        grant(clerk, b"few", "b")
    assert grant(clerk, b"many", "a").details["what"] == "leases"
    assert grant(clerk, b"new", "c") == 9
    assert alive(clerk) == [1, 2, 3, 4, 5, 7, 8, 9]
    assert grant(clerk, b"few", "b") == 10
    assert grant(clerk, b"few", "b").code == "too_large", (
        "it has as many as the first, nearly: nothing is gained"
    )
    assert grant(clerk, b"other", "a") == 11, "of the owner with most, but of a session with fewer"
    assert alive(clerk) == [1, 2, 3, 7, 8, 9, 10, 11]


def test_who_gives_does_not_depend_on_a_checkpoint_between() -> None:
    limits = Limits(leases=24, owner_leases=12, anonymous_leases=4)
    for seed in range(25):
        rng = random.Random(seed)
        one, two = Clerk(limits), Clerk(limits)
        for step in range(300):
            turn = rng.random()
            if turn < 0.6:
                session = rng.choice([None, b"p", b"q", b"r"])
                owner, wanted = rng.choice("abc"), rng.choice([0, 0, 1 << 48 | rng.randrange(50)])
                assert grant(one, session, owner, wanted) == grant(two, session, owner, wanted)
            elif turn < 0.8 and alive(one):
                lease, path = rng.choice(alive(one)), f"/{rng.randrange(30)}"
                assert one.set(path, lease) == two.set(path, lease)
            elif turn < 0.95 and alive(one):
                lease = rng.choice(alive(one))
                assert one.write(v.REVOKE, lease) == two.write(v.REVOKE, lease)
            else:
                restart(two)
            assert alive(one) == alive(two), step
            check(one)
        assert export_tables(one.machine) == export_tables(two.machine)


def restart(clerk: Clerk) -> None:
    tables = msgpack.unpackb(msgpack.packb(export_tables(clerk.machine)), strict_map_key=False)
    machine, clerk.machine = clerk.machine, Clerk(clerk.limits).machine
    store = machine.store
    import_commits(clerk.machine.store, export_commits(store, 1, store.rev))
    import_tables(clerk.machine, tables)


def check(clerk: Clerk) -> None:
    leases = clerk.machine.store.leases
    assert leases.holders.count == len(leases.by_id) <= clerk.limits.leases
    owners = [lease.owner for lease in leases.by_id.values()]
    assert all(owners.count(owner) <= clerk.limits.owner_leases for owner in owners)


def test_rows_of_older_checkpoints_are_read() -> None:
    clerk = Clerk()
    tables = export_tables(clerk.machine)
    import_tables(clerk.machine, {**tables, "format": 1, "leases": [7, [[5, 1000], [6, 2000]]]})
    found: list[Lease] = list(clerk.machine.store.leases.by_id.values())
    assert [(lease.id, lease.ttl, lease.owner, lease.session) for lease in found] == [
        (5, 1000, "", None),
        (6, 2000, "", None),
    ]
    assert grant(clerk, None) == 7
