"""A member that was removed while it was down hears it from those who refuse it, and believes a majority of them."""

from __future__ import annotations

import pytest

from tests.peers.conftest import Run
from tests.peers.lone import LEARNER, OTHER_VOTER, STRANGER, VOTER, Lone
from tests.peers.test_hostile_members import followed, led
from tests.peers.world import SECURED, Member, know, until
from visord.node import RemovedError
from visord.peers.handshake import Hello
from visord.peers.security import NOTHING, Security
from visord.serving import health

REMOVED = "b was removed from the cluster and can never return"


def refusing(member: str, hello: Hello) -> str | None:
    return REMOVED


@pytest.mark.parametrize("security", [SECURED, NOTHING], ids=["secret", "nothing"])
def test_who_dials_a_member_hears_that_it_was_removed(run: Run, security: Security) -> None:
    async def main() -> None:
        a, b = Member("a", security=security, admit=refusing), Member("b", security=security)
        heard: list[str] = []
        a.peers.removed = lambda member: member == "b"
        b.peers.dismissed = heard.append
        await a.peers.start()
        await b.peers.start()
        know(b, a)
        await until(lambda: heard)
        assert set(heard) == {"a"}
        assert b.peers.problem("a") == f"{REMOVED} (removed)"
        await a.close()
        await b.close()

    run(main())


def test_who_is_not_let_in_for_another_reason_was_not_removed(run: Run) -> None:
    async def main() -> None:
        a, b = Member("a", security=SECURED, admit=refusing), Member("b", security=SECURED)
        heard: list[str] = []
        b.peers.dismissed = heard.append
        await a.peers.start()
        await b.peers.start()
        know(b, a)
        await until(lambda: "not_admitted" in b.peers.problem("a"))
        assert heard == []
        await a.close()
        await b.close()

    run(main())


def test_who_has_not_the_secret_removes_nobody(run: Run) -> None:
    """He answers at the address of a member, and says so without a proof."""

    async def main() -> None:
        liar, b = Member("a", security=NOTHING, admit=refusing), Member("b", security=SECURED)
        heard: list[str] = []
        liar.peers.removed = lambda member: True
        b.peers.dismissed = heard.append
        await liar.peers.start()
        await b.peers.start()
        know(b, liar)
        await until(lambda: "secret" in b.peers.problem("a"))
        assert heard == []
        await liar.close()
        await b.close()

    run(main())


def test_a_majority_of_the_voters_is_believed_and_one_is_told_of() -> None:
    world = followed(votes=False)  # a learner of two voters
    for _ in range(3):
        for who in (VOTER, LEARNER, STRANGER):
            world.node.gate.dismissed(who)
    world.turn(2.0)
    assert world.failures == []
    assert [one for one in health.alarms(world.node) if one.startswith("removed: ")]
    world.node.gate.dismissed(OTHER_VOTER)
    assert [type(one) for one in world.failures] == [RemovedError]


def test_a_node_that_leads_or_votes_alone_is_not_removed_by_refusals() -> None:
    world = led()
    for _ in range(3):
        world.node.gate.dismissed(VOTER)
        world.turn(1.0)
    assert world.failures == []
    assert world.commits()


def test_a_node_tells_who_was_removed() -> None:
    world = Lone()
    assert not world.node.gate.removed(VOTER)
    assert not world.node.gate.removed(STRANGER)
