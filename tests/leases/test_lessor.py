"""The leader's measuring of leases: late at worst, never early."""

from __future__ import annotations

import pytest

from tests.leases.clerk import Clerk
from visord.leases.lessor import AGAIN, STALL, Lessor
from visord.state.refusal import Refusal

PLENTY = 1000


class World:
    """A machine's leases and a lessor that learns of them, on a clock that goes in steps of 0.1 s."""

    def __init__(self) -> None:
        self.clerk = Clerk()
        self.lessor = Lessor(self.clerk.machine.store.leases)
        self.now = 50.0
        self.lessor.leadership(True, self.now)

    def grant(self, ttl: int, wanted: int = 0) -> int:
        lease = self.clerk.grant(ttl, wanted)
        self.learn()
        return lease

    def learn(self) -> None:
        self.lessor.learn(self.clerk.machine.store.leases.news, self.now)

    def end(self, lease: int) -> None:
        self.clerk.expire(lease)
        self.learn()

    def until_due(self, most: float = 60.0) -> tuple[float, list[int]]:
        """Let time pass until something is due; return how long that took, and what is due."""
        begin = self.now
        while self.now < begin + most:
            if self.lessor.tick(self.now):
                due = self.lessor.due(self.now, PLENTY)
                if due:
                    return self.now - begin, due
            self.now += 0.1
        return most, []


@pytest.fixture
def world() -> World:
    return World()


def test_a_lease_is_due_after_its_time_and_not_before(world: World) -> None:
    lease = world.grant(5000)
    taken, due = world.until_due()
    assert due == [lease]
    assert 5.0 <= taken < 5.2


def test_a_kept_lease_begins_anew(world: World) -> None:
    lease = world.grant(5000)
    for _ in range(20):
        world.now += 0.9
        assert not world.lessor.tick(world.now) or world.lessor.due(world.now, PLENTY) == []
        assert world.lessor.keep([lease, 99], world.now) == [[lease, 5000], [99, 0]]
    taken, due = world.until_due()
    assert due == [lease]
    assert 5.0 <= taken < 5.2


def test_each_is_due_in_its_own_time(world: World) -> None:
    leases = [world.grant(ttl) for ttl in (3000, 1000, 2000)]
    order = []
    for _ in leases:
        _, due = world.until_due()
        order += due
        for lease in due:
            world.end(lease)
    assert order == [leases[1], leases[2], leases[0]]
    assert world.until_due()[1] == []


def test_a_new_leader_gives_everything_a_full_time_first(world: World) -> None:
    lease = world.grant(5000)
    world.now += 4.9
    world.lessor.leadership(False, world.now)
    assert world.lessor.left(lease, world.now) is None
    assert world.until_due(10)[1] == [], "who does not lead declares nothing dead"
    other = world.clerk.grant(2000)
    world.learn()
    world.lessor.leadership(True, world.now)
    assert (world.lessor.left(lease, world.now), world.lessor.left(other, world.now)) == (5000, 2000)
    taken, due = world.until_due()
    assert (due, taken >= 2.0) == ([other], True)
    world.end(other)
    taken, due = world.until_due()
    assert due == [lease]
    assert taken >= 2.9


def test_time_in_which_the_process_stood_still_does_not_count(world: World) -> None:
    lease = world.grant(5000)
    world.lessor.tick(world.now)
    world.now += 3600
    assert not world.lessor.tick(world.now)
    assert world.lessor.left(lease, world.now) == 5000
    taken, due = world.until_due()
    assert due == [lease]
    assert taken >= 4.9


def test_what_is_kept_right_after_a_standstill_has_its_full_time(world: World) -> None:
    lease = world.grant(5000)
    world.lessor.tick(world.now)
    world.now += 3600
    world.lessor.keep([lease], world.now)  # the socket was read before the timer came up
    taken, due = world.until_due()
    assert due == [lease]
    assert taken >= 5.0


def test_a_pause_below_a_standstill_counts(world: World) -> None:
    lease = world.grant(2000)
    for _ in range(3):
        world.lessor.tick(world.now)
        world.now += STALL * 0.9
    assert world.lessor.tick(world.now)
    assert world.lessor.due(world.now, PLENTY) == [lease]


def test_a_proposed_lease_is_not_due_again_until_it_is_known_what_became_of_it(world: World) -> None:
    lease = world.grant(1000)
    assert world.until_due()[1] == [lease]
    assert world.lessor.expiring == {lease}
    assert world.until_due(5)[1] == []
    world.lessor.completed([lease], world.now)
    assert not world.lessor.expiring
    taken, due = world.until_due()
    assert due == [lease]
    assert taken >= AGAIN - 0.01
    world.end(lease)
    world.lessor.completed([lease], world.now)
    assert not world.lessor.expiring
    assert world.until_due(5)[1] == []


def test_what_was_not_expired_can_be_kept_again(world: World) -> None:
    lease = world.grant(1000)
    assert world.until_due()[1] == [lease]
    world.lessor.completed([lease], world.now)
    world.lessor.keep([lease], world.now)
    world.now += 0.5
    world.lessor.keep([lease], world.now)
    taken, due = world.until_due()
    assert due == [lease]
    assert taken >= 0.9


def test_an_id_that_is_used_again_has_its_own_time(world: World) -> None:
    wanted = 1 << 48
    world.grant(1000, wanted)
    for _ in range(5):
        world.clerk.write(37, wanted)
        world.learn()
        world.now += 0.3
        world.lessor.tick(world.now)
        world.grant(5000, wanted)
    taken, due = world.until_due()
    assert due == [wanted]
    assert taken >= 4.9
    assert len(world.lessor._heap) <= 5


def test_a_budget_of_leases_and_files_bounds_what_is_due_at_once(world: World) -> None:
    leases = [world.grant(1000) for _ in range(10)]
    for name in range(30):
        assert not isinstance(world.clerk.set(f"/{name}", leases[0]), Refusal)
    world.now += 0.9
    world.lessor.tick(world.now)
    world.now += 0.2
    world.lessor.tick(world.now)
    assert world.lessor.due(world.now, 20) == leases[:1]
    assert world.lessor.due(world.now, 5) == leases[1:6]
    assert world.lessor.due(world.now, PLENTY) == leases[6:]


def test_renewing_leaves_alone_what_is_proposed(world: World) -> None:
    one, two = world.grant(1000), world.grant(2000)
    assert world.until_due()[1] == [one]
    world.lessor.renew(world.now)
    assert world.lessor.left(two, world.now) == 2000
    assert world.lessor.left(one, world.now) == 0
    assert world.lessor.expiring == {one}
