"""In which order writes become commands: order of each author kept, nobody made to wait for more than his turn."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from visord.queueing import CALM, FairQueue


@dataclass(eq=False)
class Writes:
    author: str
    owner: str
    number: int
    size: int = 100
    content: list[Any] = field(init=False)

    def __post_init__(self) -> None:
        self.content = [self.author.encode(), "actor", [], self.owner]


def drain(queue: FairQueue[Writes]) -> list[Writes]:
    return [queue.popleft() for _ in range(len(queue))]


def crowd(queue: FairQueue[Writes]) -> None:
    """Have so much wait that everybody is told from others."""
    queue.append(Writes("crowd", "crowd", 0, CALM + 1))


def test_while_little_waits_it_is_first_in_first_out() -> None:
    queue: FairQueue[Writes] = FairQueue()
    items = [Writes(str(number % 3), str(number % 2), number) for number in range(50)]
    for item in items:
        queue.append(item)
    assert drain(queue) == items
    assert len(queue) == queue.size == 0


def test_a_thousand_connections_of_one_address_delay_another_address_by_one_turn() -> None:
    queue: FairQueue[Writes] = FairQueue()
    crowd(queue)
    for number in range(1000):
        for _ in range(10):
            queue.append(Writes(f"flood{number}", "10.0.0.1", number))
    queue.append(Writes("good", "10.0.0.2", 1))
    assert [item.author for item in drain(queue)].index("good") <= 3


def test_a_flood_of_one_connection_delays_another_of_its_address_by_one_turn() -> None:
    queue: FairQueue[Writes] = FairQueue()
    crowd(queue)
    for number in range(1000):
        queue.append(Writes("flood", "10.0.0.1", number))
    queue.append(Writes("good", "10.0.0.1", 1))
    assert [item.author for item in drain(queue)].index("good") <= 3


@given(
    st.lists(st.tuples(st.integers(0, 5), st.integers(1, 3), st.integers(1, CALM)), max_size=60),
    st.lists(st.integers(0, 20), max_size=20),
)
def test_each_author_keeps_its_order_whatever_is_taken_and_put_back(
    submitted: list[tuple[int, int, int]], takes: list[int]
) -> None:
    queue: FairQueue[Writes] = FairQueue()
    taken: list[Writes] = []
    for position, (author, _, size) in enumerate(submitted):
        queue.append(Writes(str(author), str(author % 2), position, size))
        if position < len(takes):
            got = [queue.popleft() for _ in range(min(takes[position], len(queue)))]
            kept = len(got) // 2
            queue.put_back(got[kept:])
            taken += got[:kept]
        assert len(queue) == position + 1 - len(taken)
        assert queue.size == sum(item.size for item in queue)
    taken += drain(queue)
    assert queue.size == 0
    assert len(taken) == len(submitted)
    for author in map(str, range(6)):
        numbers = [item.number for item in taken if item.author == author]
        assert numbers == sorted(numbers)


def test_the_rest_of_what_costs_much_waits_for_the_turn_of_others() -> None:
    queue: FairQueue[Writes] = FairQueue()
    for number in range(3):
        queue.append(Writes("much", "10.0.0.1", number))
        queue.append(Writes("good", "10.0.0.2", number))
    assert queue.popleft().author == "much"
    queue.defer(Writes("much", "10.0.0.1", 0))
    taken = drain(queue)
    assert [item.author for item in taken].index("good") <= 1
    assert [item.number for item in taken if item.author == "much"] == [0, 1, 2]
    assert [item.number for item in taken if item.author == "good"] == [0, 1, 2]


def test_over_the_limit_an_owner_with_little_may_still_add() -> None:
    queue: FairQueue[Writes] = FairQueue()
    limit = 4 * CALM
    crowd(queue)
    while queue.size <= limit:
        queue.append(Writes("flood", "10.0.0.1", 0, 10_000))
    assert queue.over_its_share("10.0.0.1", limit)
    assert not queue.over_its_share("10.0.0.2", limit)
    while queue.size <= 2 * limit:
        queue.append(Writes("flood", "10.0.0.1", 0, 10_000))
    assert queue.over_its_share("10.0.0.2", limit)


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("come"), st.integers(0, 5), st.integers(1, CALM)),
            st.tuples(st.just("take"), st.integers(0, 5), st.integers(0, 5)),
            st.tuples(st.sampled_from(["pause", "resume"]), st.integers(0, 1), st.just(0)),
        ),
        max_size=60,
    )
)
def test_nothing_is_taken_of_who_is_paused_and_nothing_of_him_is_lost(
    steps: list[tuple[str, int, int]],
) -> None:
    queue: FairQueue[Writes] = FairQueue()
    paused: set[str] = set()
    came, taken = 0, list[Writes]()
    for what, number, size in steps:
        if what == "come":
            queue.append(Writes(str(number), str(number % 2), came, size))
            came += 1
        elif what == "take":
            got = []
            while queue.ready and len(got) < number:
                got.append(queue.popleft())
            assert paused.isdisjoint(item.owner for item in got)
            queue.put_back(got[size:])
            taken += got[:size]
        elif what == "pause":
            queue.pause(str(number))
            paused.add(str(number))
        else:
            queue.resume(str(number))
            paused.discard(str(number))
        waiting = list(queue)
        assert (len(queue), queue.size) == (len(waiting), sum(item.size for item in waiting))
        assert queue.ready == any(item.owner not in paused for item in waiting)
    for owner in paused:
        queue.resume(owner)
    taken += drain(queue)
    assert (len(taken), queue.ready, queue.over_its_share("0", 0)) == (came, False, False)
    for author in map(str, range(6)):
        numbers = [item.number for item in taken if item.author == author]
        assert numbers == sorted(numbers)
