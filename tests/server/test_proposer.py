"""The proposer and forwarding without a node: what is refused alone, what is encoded once, whom a wrong place meets."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from visor.protocol.verbs import EXPIRE_LEASE
from visord import proposer as proposers
from visord.members.forwarding import Forwarding
from visord.peers import messages as msg
from visord.proposer import Batch, Proposer
from visord.state import command
from visord.state.refusal import Refusal

GOOD = [30, 1, 0, "/good", b"x"]
LEADER: Any = SimpleNamespace(leader="me", is_leader=True)


def deep(levels: int) -> list[Any]:
    inner: list[Any] = []
    for _ in range(levels - 2):
        inner = [inner]
    return [30, 7, 0, inner]


class Client:
    """An author that remembers what it was told."""

    def __init__(self, session: bytes | None = None) -> None:
        self.session, self.actor = session, "me"
        self.principal = "10.0.0.7"
        self.told: list[tuple[Any, Any]] = []

    def complete(self, frames: list[Any], outcomes: list[Any]) -> None:
        self.told += zip(frames, outcomes, strict=True)

    def fail(self, frames: list[Any], refusal: Refusal) -> None:
        self.complete(frames, [refusal] * len(frames))


class World:
    """A proposer at a leader, or at a replica of one."""

    def __init__(self, *, leader: bool = True) -> None:
        self.leader, self.room = leader, True
        self.short: Refusal | None = None
        self.disk: Refusal | None = None
        self.log: list[command.Command] = []
        self.sent: list[list[Batch]] = []
        self.soon: list[Any] = []
        self.now = 1000
        self.proposer = Proposer(
            self._propose, lambda size: self.room, self, self, self.soon.append, lambda: self.now, lambda: 0.0
        )

    def _propose(self, made: command.Command) -> tuple[int, int]:
        self.log.append(made)
        return len(self.log), 1

    def refusal(self) -> Refusal | None:
        return None

    def growth(self) -> Refusal | None:
        return self.short or self.disk

    def known(self, session: Any, frame: Any) -> bool:
        return False

    def full(self) -> Refusal | None:
        return self.disk

    def leads(self) -> bool:
        return self.leader

    def forward(self, batches: list[Batch]) -> bool:
        self.sent.append(batches)
        return True

    def placed(self, batches: list[Batch], index: int, term: int) -> None: ...

    def applies_long(self, index: int) -> None: ...

    def run(self) -> None:
        while self.soon:
            self.soon.pop(0)()


@pytest.mark.parametrize("levels", [1018, 1019, 1020])
def test_what_no_command_can_carry_is_refused_alone(levels: int) -> None:
    world, good, evil = World(), Client(), Client()
    world.proposer.submit(good, [GOOD], 10)
    frames = [deep(levels + 3), [34, 8, 0]]  # no door has seen them
    world.proposer.submit_batches([Batch(evil, [None, "evil", frames, ""], frames, 10)])
    world.run()
    assert [[batch[2] for batch in made.decoded[1]] for made in world.log] == [[[GOOD], [[34, 8, 0]]]]  # type: ignore[index]
    assert [outcome.code for _, outcome in evil.told] == ["bad_request"]
    world.proposer.applied(1, 1, [[1], [1]])
    assert good.told == [(GOOD, 1)]
    assert evil.told[1:] == [([34, 8, 0], 1)]


def test_groups_that_cannot_be_carried_at_all_are_refused_and_end_nothing() -> None:
    world, client = World(), Client()
    world.now = -1  # a clock before 1970: no entry can say so
    world.proposer.submit(client, [GOOD], 10)
    world.run()
    assert [outcome.code for _, outcome in client.told] == ["bad_request"]
    assert world.log == []
    world.now = 5
    world.proposer.submit(client, [GOOD], 10)
    world.run()
    assert len(world.log) == 1


def test_a_command_is_encoded_once_while_the_log_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    world, one, two = World(), Client(), Client()
    encoded: list[int] = []

    def encode(time: int, batches: list[Any], **how: Any) -> command.Command:
        encoded.append(len(batches))
        return command.encode(time, batches, **how)

    monkeypatch.setattr(proposers, "encode", encode)
    world.room = False
    world.proposer.submit(one, [GOOD], 10)
    for _ in range(5):
        world.run()
        world.proposer.start_next()
    world.proposer.submit(two, [[34, 9, 0]], 10)
    world.run()
    assert encoded == [1]
    world.room = True
    world.proposer.start_next()
    world.proposer.applied(1, 1, [[1]])
    world.run()
    world.proposer.applied(2, 1, [[1]])
    assert encoded == [1, 1]
    assert (one.told, two.told) == ([(GOOD, 1)], [([34, 9, 0], 1)])
    assert world.proposer.idle


def test_what_was_answered_while_the_log_made_room_is_not_proposed() -> None:
    world, one, two = World(), Client(), Client()
    world.room = False
    world.proposer.submit(one, [GOOD], 10)
    world.run()
    world.proposer.abandon_queue(Refusal("no_space", "", {}))
    world.room = True
    world.proposer.submit(two, [[34, 9, 0]], 10)
    world.run()
    assert [made.decoded[1][0][2] for made in world.log] == [[[34, 9, 0]]]  # type: ignore[index]


@pytest.mark.parametrize("outcomes", [[], [[]], [[1, 2]], [[1], [2]]])
def test_a_place_that_is_not_there_ends_the_writes_as_unknown_and_no_node(outcomes: list[Any]) -> None:
    world, client = World(leader=False), Client()
    world.proposer.submit(client, [GOOD], 10)
    world.run()
    ((batch,),) = world.sent
    world.proposer.expect(5, 1, 2, batch)
    world.proposer.applied(5, 1, outcomes)
    assert [outcome.code for _, outcome in client.told] == ["lost_leadership"]


NO_SPACE = Refusal("no_space", "", {})
DELETE = [31, 2, 0, "/good"]


def test_without_space_what_makes_room_goes_on() -> None:
    world, one, two = World(), Client(), Client()
    world.short = NO_SPACE
    grow = [GOOD, [33, 3, 0, "/", 1], [36, 4, 0, 5000], [32, 5, 0, [], [], [[0, "/a", b""]]], [39, 6, GOOD]]
    stay = [DELETE, [34, 7, 0], [35, 8, 0], [37, 9, 0, 1], [32, 10, 0, [], [[1, "/a"], [2, "/b"]]]]
    world.proposer.submit(one, [*grow, *stay], 10)
    world.proposer.submit(two, [GOOD], 10)
    world.run()
    assert [frame for frame, outcome in one.told if outcome == NO_SPACE] == grow
    assert two.told == [(GOOD, NO_SPACE)]
    assert [made.decoded[1][0][2] for made in world.log] == [stay]  # type: ignore[index]
    world.short = None
    world.proposer.applied(1, 1, [list(range(5))])
    world.proposer.submit(two, [GOOD], 10)
    world.run()
    assert len(world.log) == 2, "it heals by itself"


def test_a_command_that_waited_for_room_is_judged_anew_when_there_is_none() -> None:
    world, client = World(), Client()
    world.room = False
    world.proposer.submit(client, [GOOD, DELETE], 10)
    world.run()
    world.room, world.disk = True, NO_SPACE
    world.proposer.start_next()
    world.run()
    assert client.told == [(GOOD, NO_SPACE)]
    assert [made.decoded[1][0][2] for made in world.log] == [[DELETE]]  # type: ignore[index]


def test_when_the_reserve_is_used_up_everything_is_refused() -> None:
    world, client = World(), Client()
    world.room, world.disk = False, NO_SPACE
    world.proposer.submit(client, [DELETE], 10)
    world.run()
    assert client.told == [(DELETE, NO_SPACE)]
    assert world.proposer.idle


def forwarded(world: World, rows: list[list[Any]]) -> list[list[Any]]:
    """Let a member send batches on to this leader, and return what it is told."""
    said: list[list[Any]] = []
    forwarding = Forwarding(
        LEADER, lambda member, message: bool(said.append(message)) or True, lambda: 0.0, 0
    )
    forwarding.proposer = world.proposer
    forwarding.on_forward("r", [msg.FORWARD, rows])
    world.run()
    return said


def test_what_another_node_sent_is_refused_as_a_whole() -> None:
    world = World()
    world.short = NO_SPACE
    said = forwarded(world, [[1, None, "me", [DELETE, GOOD], "h"], [2, None, "me", [DELETE], "h"]])
    assert [message[1:3] for message in said] == [[[1], "no_space"]]
    assert [made.decoded[1] for made in world.log] == [[[None, "me", [DELETE], "h"]]]  # type: ignore[index]


def test_in_nobodys_name_only_the_leader_itself_writes() -> None:
    """What is in nobody's name may do everything: a member that sends such a batch on has it from nobody."""
    world = World()
    said = forwarded(world, [[1, None, "me", [GOOD], ""], [2, None, "me", [GOOD], "h"]])
    assert [message[1:3] for message in said if message[0] == msg.REFUSED] == [[[1], "bad_request"]]
    assert [made.decoded[1] for made in world.log] == [[[None, "me", [GOOD], "h"]]]  # type: ignore[index]


def test_a_queue_of_refused_writes_is_no_recursion() -> None:
    world, client = World(), Client()
    world.short = NO_SPACE
    for _ in range(3000):
        world.proposer.submit(client, [GOOD], proposers.MAX_BYTES)
    world.run()
    assert len(client.told) == 3000


def test_a_replica_sends_on_nothing_that_the_leader_could_not_read() -> None:
    world, client = World(leader=False), Client()
    world.proposer.submit(client, [deep(17), deep(16)], 10)
    world.run()
    assert [batch.frames for (batch,) in world.sent] == [[deep(16)]]
    assert [outcome.code for _, outcome in client.told] == ["bad_request"]


def test_a_leader_takes_only_groups_as_a_door_makes_them() -> None:
    world = World()
    said: list[list[Any]] = []
    forwarding = Forwarding(
        LEADER, lambda member, message: bool(said.append(message)) or True, lambda: 0.0, 0
    )
    forwarding.proposer = world.proposer
    right = [1, None, "me", [GOOD], "10.0.0.7"]
    wrong = [
        [2, None, "me", [GOOD]],
        [3, b"", "me", [GOOD], ""],
        [4, b"s" * 65, "me", [GOOD], ""],
        [5, None, None, [GOOD], ""],
        [6, None, "m" * 1025, [GOOD], ""],
        [7, None, "me", {}, ""],
        [8, None, "me", [GOOD], "o" * 65],
        [9, None, "me", [GOOD, deep(17)], ""],
        [11, None, "me", [[EXPIRE_LEASE, 1, 0, 7, 1]], ""],  # a lease ends when the leader has measured it
        [12, None, "me", [[]], ""],
        [13, None, "me", ["odd"], ""],
        [10],
    ]
    forwarding.on_forward("r", [msg.FORWARD, [right, *wrong]])
    world.run()
    assert [made.decoded[1] for made in world.log] == [[right[1:]]]  # type: ignore[index]
    assert [message[1] for message in said] == [[2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 10]]
    assert said[0][2] == "bad_request"


# -- what commands cost --------------------------------------------------------------------------------


class Prices:
    """A write costs what its path says; `/never` is refused."""

    def fitting(self, frames: list[Any], room: int, /) -> tuple[int, int]:
        spent = count = 0
        for frame in frames:
            more = int(frame[3].rpartition("/")[2])
            if count and spent + more > room:
                break
            spent, count = spent + more, count + 1
        return count, spent

    def hopeless(self, frame: Any, /) -> Refusal | None:
        return Refusal("too_large", "", {}) if frame[3].startswith("/never") else None


def priced(ident: int, units: int, path: str = "") -> list[Any]:
    return [30, ident, 0, f"{path}/{units}", b""]


class Shop(World):
    """Applies what it proposes, one command after the other."""

    def __init__(self, *, leader: bool = True) -> None:
        super().__init__(leader=leader)
        self.proposer._costs = Prices()

    def commands(self) -> list[list[list[int]]]:
        """Return the ids of the writes of each command, by batch."""
        self.run()
        done = 0
        while done < len(self.log):
            batches = self.log[done].decoded[1]  # type: ignore[index]
            done += 1
            self.proposer.applied(done, 1, [[frame[1] for frame in batch[2]] for batch in batches])
            self.run()
        return [[[frame[1] for frame in batch[2]] for batch in made.decoded[1]] for made in self.log]  # type: ignore[index]


def test_a_group_that_costs_too_much_is_split_and_keeps_its_order() -> None:
    world, client, other = Shop(), Client(), Client()
    world.proposer.submit(client, [priced(i, 3_000) for i in range(1, 8)], 700)
    world.proposer.submit(other, [priced(9, 1)], 10)
    # Who has little waits for one turn of who has much, not for all.
    world.proposer.submit(client, [priced(8, 3_000)], 10)
    assert world.commands() == [[[1, 2, 3]], [[9], [4, 5, 6]], [[7], [8]]]
    assert [outcome for _, outcome in client.told] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert [outcome for _, outcome in other.told] == [9]
    assert (world.proposer.idle, world.proposer._queue.size) == (True, 0)


def test_who_fills_commands_with_what_is_dear_lets_others_go_first() -> None:
    world, client, other = Shop(), Client(), Client()
    for ident in range(1, 5):
        world.proposer.submit(client, [priced(ident, 9_000)], 10)
    world.proposer.submit(other, [priced(9, 1)], 10)
    first, second, *others = world.commands()
    assert (first, sorted(second), others) == ([[1]], [[2], [9]], [[[3]], [[4]]])


def test_a_write_that_costs_more_than_a_command_goes_alone() -> None:
    world, client = Shop(), Client()
    world.proposer.submit(client, [priced(1, 5), priced(2, 90_000), priced(3, 5)], 30)
    assert world.commands() == [[[1]], [[2]], [[3]]]


def test_a_group_of_another_node_is_never_split() -> None:
    world, client = Shop(), Client()
    world.proposer.submit(client, [priced(1, 9_000)], 10)
    forwarding = Forwarding(LEADER, lambda member, message: True, lambda: 0.0, 1)
    forwarding.proposer = world.proposer
    batch = [7, b"s", "me", [priced(2, 6_000), priced(3, 6_000)], "owner"]
    forwarding.on_forward("n2", [msg.FORWARD, [batch]])
    assert world.commands() == [[[1]], [[2, 3]]]


def test_a_replica_sends_no_more_at_a_time_than_a_command_takes() -> None:
    world, client = Shop(leader=False), Client()
    world.proposer.submit(client, [priced(i, 4_000) for i in range(1, 5)], 40)
    world.run()
    assert [[frame[1] for frame in batch.frames] for batch in world.sent[0]] == [[1, 2]]
    world.proposer.synced()
    assert [[frame[1] for frame in batch.frames] for batch in world.sent[1]] == [[3, 4]]


def test_what_will_be_refused_for_its_cost_is_not_proposed() -> None:
    world, client = Shop(), Client()
    dear = [priced(i, 50_000, "/never") for i in range(2, 4)]
    world.proposer.submit(client, [priced(1, 1), *dear, priced(4, 1)], 40)
    assert world.commands() == [[[1]], [[4]]]
    assert [(frame[1], getattr(outcome, "code", outcome)) for frame, outcome in client.told] == [
        (1, 1),
        (2, "too_large"),
        (3, "too_large"),
        (4, 4),
    ]


def test_a_member_that_sends_on_too_much_as_one_is_refused_and_others_go_on() -> None:
    world, client = Shop(), Client()
    forged = Client()
    frames = [priced(ident, 9_000) for ident in range(1, 9)]
    world.proposer.submit_batches([Batch(forged, [None, "me", frames, ""], frames, 100, whole=True)])
    world.proposer.submit(client, [priced(9, 1)], 10)
    assert world.commands() == [[[9]]]
    assert {outcome.code for _, outcome in forged.told} == {"overloaded"}


# -- pauses ------------------------------------------------------------------------------------------------


class Paced(Shop):
    """A shop where time passes: a unit of cost takes a microsecond."""

    def __init__(self) -> None:
        super().__init__()
        self.time = 0.0
        self.timers: list[tuple[float, Any]] = []
        self.proposer._time = lambda: self.time
        self.proposer._call_later = lambda seconds, callback: self.timers.append(
            (self.time + seconds, callback)
        )

    def serve(self) -> list[int]:
        """Apply one command; return the ids of its writes."""
        self.run()
        batches = self.log[-1].decoded[1]  # type: ignore[index]
        frames = [frame for batch in batches for frame in batch[2]]
        self.time += sum(int(frame[3].rpartition("/")[2]) for frame in frames) / 1e6
        self.proposer.applied(len(self.log), 1, [[frame[1] for frame in batch[2]] for batch in batches])
        self.run()
        return [frame[1] for frame in frames]

    def wait(self) -> None:
        self.time = max(self.time, min(due for due, _ in self.timers))
        for due, callback in list(self.timers):
            if due <= self.time:
                self.timers.remove((due, callback))
                callback()
        self.run()


def test_who_makes_long_commands_leaves_twice_as_much_time_to_others() -> None:
    world, hostile, good = Paced(), Client(), Client()
    good.principal = "10.0.0.8"
    world.proposer.submit(good, [priced(100, 10)], 10)
    assert world.serve() == [100]
    for ident in range(1, 4):
        world.proposer.submit(hostile, [priced(ident, 40_000)], 10)
    for ident in range(1, 4):
        assert world.serve() == [ident]
        began = world.time
        for step in range(1, 4):  # one after another, each when the one before is answered
            world.proposer.submit(good, [priced(100 + 10 * ident + step, 10)], 10)
            assert world.serve() == [100 + 10 * ident + step]
        assert world.time - began < 0.001
        world.wait()
        assert world.time - began >= 0.079  # the members apply it meanwhile, and then others have their time
    assert [outcome for _, outcome in hostile.told] == [1, 2, 3]
    assert world.proposer.idle


def test_nobody_is_paused_where_nobody_else_writes() -> None:
    world, client = Paced(), Client()
    for ident in range(1, 4):
        world.proposer.submit(client, [priced(ident, 40_000)], 10)
    assert [world.serve() for _ in range(3)] == [[1], [2], [3]]
    assert world.timers == []


def test_what_is_paused_is_refused_with_all_others_when_the_node_stops() -> None:
    world, hostile, good = Paced(), Client(), Client()
    good.principal = "10.0.0.8"
    world.proposer.submit(good, [priced(100, 10)], 10)
    world.serve()
    for ident in range(1, 3):
        world.proposer.submit(hostile, [priced(ident, 40_000)], 10)
    world.serve()
    assert not world.proposer.idle
    world.proposer.abandon_queue(NO_SPACE)
    assert world.proposer.idle
    assert hostile.told[1][1] is NO_SPACE
    world.wait()
    world.proposer.submit(hostile, [priced(3, 10)], 10)
    assert world.serve() == [3]
