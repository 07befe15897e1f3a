"""A node asks to be taken in: whom, how often, and what it makes of the answers. No clock, no socket."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import msgpack
import pytest

from tests.storage.fake_disk import FakeDisk
from visord.members.joining import JoinRefusedError, NoClusterError, Reach, Start, cluster_to_join, join
from visord.peers import messages as msg
from visord.peers.errors import AnswerLostError, PeerUnavailableError
from visord.raft.configuration import Member
from visord.storage.directory import Identity, write_identity

A, B, OWN = "10.0.0.1:1", "10.0.0.2:1", "10.0.0.9:1"
ROW = {"id": "a", "name": "a", "peer": A, "client": "", "role": "voter", "leader": True, "self": True}
VIEW = {"leader": "a", "term": 1, "committed": 3, "members": [ROW]}
Answer = list[Any] | Exception


class World:
    """Answers by address, in turn; the last one again and again. `join` ends when it was met so often."""

    def __init__(self, answers: dict[str, list[Answer]], meetings: int = 1) -> None:
        self.answers = answers
        self.asked: list[tuple[str, list[Any]]] = []
        self.slept = 0
        self.met: list[Any] = []
        self._meetings = meetings
        self.me = Member("n", "new", OWN, "10.0.0.9:2", True, False)
        self.name, self.cluster, self.directory = "new", "c" * 32, SimpleNamespace(path="/data")
        self.gate = self.proof = self

    @property
    def joining(self) -> bool:
        return len(self.met) < self._meetings

    def meet(self, members: list[dict[str, Any]]) -> None:
        self.met.append(members)

    async def ask(self, address: str, data: bytes, seconds: float) -> list[Any]:
        self.asked.append((address, msgpack.unpackb(data)))
        answers = self.answers[address]
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def sleep(self, seconds: float) -> None:
        self.slept += 1
        assert self.slept < 100, "it asks for ever"

    @property
    def reach(self) -> Reach:
        return Reach(OWN, self.ask, self.sleep)

    def join(self, *addresses: str, learner: bool = False) -> None:
        asyncio.run(join(Start(join=addresses, learner=learner), self, self.reach))


def refused(code: str) -> list[Any]:
    return [msg.JOINED, False, [code, "why", {}]]


TAKEN_IN: list[Any] = [msg.JOINED, True, VIEW]


@pytest.mark.parametrize("learner", [False, True])
def test_it_says_who_it_is_and_meets_the_members_that_it_is_told_of(learner: bool) -> None:
    world = World({A: [TAKEN_IN]})
    world.join(A, learner=learner)
    assert world.asked == [(A, [msg.JOIN, "n", "new", OWN, "10.0.0.9:2", not learner])]
    assert world.met == [[ROW]]


def test_its_own_address_is_never_asked_and_alone_is_refused() -> None:
    world = World({A: [TAKEN_IN]})
    world.join(OWN, A)
    assert [address for address, _ in world.asked] == [A]
    with pytest.raises(JoinRefusedError, match="own address"):
        World({}).join(OWN)


@pytest.mark.parametrize("error", [PeerUnavailableError("away"), AnswerLostError("late")])
def test_who_does_not_answer_is_followed_by_the_next_and_asked_again(error: Exception) -> None:
    world = World({A: [error, TAKEN_IN], B: [error]})
    world.join(A, B)
    assert [address for address, _ in world.asked] == [A, B, A]
    assert world.slept >= 1


def test_a_cluster_that_takes_nobody_in_just_now_is_asked_through_another_member() -> None:
    world = World({A: [refused("no_quorum")], B: [TAKEN_IN]})
    world.join(A, B)
    assert [address for address, _ in world.asked] == [A, B]


def test_a_cluster_that_never_will_is_not_asked_again() -> None:
    world = World({A: [refused("bad_request")], B: [TAKEN_IN]})
    with pytest.raises(JoinRefusedError, match="why"):
        world.join(A, B)
    assert len(world.asked) == 1


@pytest.mark.parametrize(
    "nonsense",
    [[msg.JOINED], [msg.JOINED, True, {"members": 7}], [msg.IS, "c", "a"], [msg.JOINED, False, [1]]],
)
def test_an_answer_that_is_none_is_not_believed(nonsense: list[Any]) -> None:
    world = World({A: [nonsense, TAKEN_IN]})
    world.join(A)
    assert world.met == [[ROW]]


def test_it_asks_until_it_finds_itself_among_the_members() -> None:
    world = World({A: [TAKEN_IN]}, meetings=3)
    world.join(A)
    assert len(world.asked) == 3 and world.slept == 3


# -- which cluster ---------------------------------------------------------------------------------------------


def which(world: World, start: Start, disk: FakeDisk | None = None) -> str | None:
    prepared: list[int] = []
    work: Callable[[], Awaitable[str | None]] = lambda: cluster_to_join(  # noqa: E731
        start, disk or FakeDisk(), "/data", world.reach, lambda: prepared.append(1)
    )

    async def main() -> str | None:
        return await work()

    return asyncio.run(main())


def test_a_new_directory_takes_the_cluster_of_whoever_answers_first() -> None:
    world = World({A: [PeerUnavailableError("away")], B: [[msg.IS, "5" * 32, "b"]]})
    assert which(world, Start(join=(A, B))) == "5" * 32
    assert [message for _, message in world.asked] == [[msg.WHO], [msg.WHO]]


def test_a_founder_asks_nobody_nor_does_one_that_has_belonged_for_long() -> None:
    assert which(World({}), Start(bootstrap=True)) is None
    disk = FakeDisk()
    disk.mkdir("/data")
    disk.sync_dir("/")
    write_identity(disk, "/data", Identity("5" * 32, "n1", "1" * 16, False))
    assert which(World({}), Start(join=(A,)), disk) is None


@pytest.mark.parametrize("start", [Start(), Start(join=(OWN,))])
def test_a_new_directory_of_which_nothing_is_said_is_refused(start: Start) -> None:
    with pytest.raises(NoClusterError):
        which(World({}), start)
