"""A cluster whose members run two versions: commands have the format that all of them read, and nobody is harmed.

What the older version says is here as its bytes were recorded (commit a3d5847).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import msgpack
import pytest

from tests.peers.lone import LEARNER, VOTER, Author, Lone
from tests.peers.world import Member, know, members, until
from visor.protocol import verbs
from visord.members import formats
from visord.peers import link as links
from visord.peers import messages as msg
from visord.peers.errors import PeerRefusedError
from visord.peers.frames import COUNTED, MAX_ELEMENTS, decode
from visord.peers.handshake import MEMBER, Accepter, Dialler, Hello, Introduction
from visord.proposer import Batch
from visord.state import command as commands
from visord.state.formats import FORMAT, OLDEST

FORMAT_1 = bytes.fromhex(
    "009301cd03e89293c41073737373737373737373737373737373a26d6591951e0100a22f78c4013193c0a3796f7591941f0100a22f78"
)
GROUPS = [[b"s" * 16, "me", [[30, 1, 0, "/x", b"1"]], "a"], [None, "you", [[31, 1, 0, "/x"]], "b"]]
HELLO = bytes.fromhex(
    "93aa7669736f722d706565720187a66d656d626572b061616161616161616161616161616161a7636c7573746572a26331a7616464726573"
    "73ab3132372e302e302e313a31a6657870656374b062626262626262626262626262626262a7707572706f7365a66d656d626572a772656c"
    "65617365a5302e312e30a56e6f6e6365c4206e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e6e"
)
CHALLENGE = bytes.fromhex(
    "920185a66d656d626572b062626262626262626262626262626262a7636c7573746572a26331a761646472657373ab3132372e302e302e31"
    "3a32a6736563726574c2a56e6f6e6365c4206d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d6d"
)


def mixed(**said: int) -> Lone:
    """The node, and members that read formats: `c` votes, `l` is a learner."""
    world = Lone()
    world.wires.said = {VOTER: said.get("c", FORMAT), LEARNER: said.get("l", FORMAT)}
    return world


def written(world: Lone) -> int:
    """Commit a write; return the format of its command."""
    assert world.commits()
    newest = [entry for entry, _, _ in world.node.log[:] if entry[:1] == commands.FIRST_BYTE][-1]
    return commands.format_of(newest)


# -- commands ----------------------------------------------------------------------------------------------


def test_a_command_of_the_oldest_format_is_what_the_older_version_wrote() -> None:
    made = commands.encode(1000, GROUPS, form=OLDEST)
    assert bytes(made) == FORMAT_1
    assert made.decoded == commands.read(FORMAT_1)
    assert made.decoded is not None
    assert [batch[3] for batch in made.decoded[1]] == ["", ""], "what is logged is what is applied"


def test_who_reads_all_that_all_others_write_is_written_for() -> None:
    world = mixed()
    assert written(world) == FORMAT
    assert world.node.formats.in_force == world.wires.required == FORMAT


@pytest.mark.parametrize("who", ["c", "l"])
def test_one_member_of_the_older_version_keeps_its_format_until_it_is_upgraded(who: str) -> None:
    member = {"c": VOTER, "l": LEARNER}[who]
    world = mixed(**{who: OLDEST})
    assert [written(world), written(world)] == [OLDEST, OLDEST]
    assert world.node.formats.waits_for() == [who]
    assert world.wires.required == OLDEST, "it is no stranger yet"
    world.wires.said[member] = FORMAT
    assert written(world) == FORMAT
    assert world.node.formats.waits_for() == []
    world.wires.said[member] = OLDEST
    world.turn(1)
    assert written(world) == FORMAT, "there is no way back"
    assert world.wires.required == FORMAT, "it is refused instead"


def test_a_member_that_is_away_and_said_nothing_may_come_back_as_it_was() -> None:
    world = Lone()
    world.wires.away.add(LEARNER)
    assert written(world) == OLDEST
    assert world.node.formats.waits_for() == ["l"]
    world.wires.away.clear()
    assert written(world) == FORMAT


def test_who_said_it_within_the_leadership_and_went_away_does_not_hold_up_the_others() -> None:
    world = mixed(c=OLDEST)
    assert written(world) == OLDEST
    world.wires.away.add(LEARNER)
    world.wires.said[VOTER] = FORMAT
    assert written(world) == FORMAT


def test_what_was_said_in_another_leadership_does_not_count() -> None:
    world = mixed(c=OLDEST)
    assert written(world) == OLDEST
    engine = world.node.engine
    depose(world, engine.term + 1)
    assert not engine.is_leader
    world.wires.said[VOTER] = FORMAT
    world.wires.away.add(LEARNER)
    assert world.until(lambda: engine.is_leader and engine.reads_are_current)
    assert written(world) == OLDEST
    assert world.node.formats.waits_for() == ["l"]


def depose(world: Lone, term: int) -> None:
    """The voter leads now, for a moment."""
    last = world.node.log.last_index
    world.hear(VOTER, [msg.APPEND, term, last, world.node.log.term_at(last), last, 1, []])


def test_a_format_stays_in_force_over_a_restart() -> None:
    world = mixed()
    assert written(world) == FORMAT
    world.restart()
    world.wires.said = {VOTER: OLDEST, LEARNER: OLDEST}
    world.turn(0.1)
    assert world.node.formats.in_force == world.wires.required == FORMAT
    assert written(world) == FORMAT


def test_a_follower_knows_the_format_from_what_it_stores() -> None:
    world = mixed(c=OLDEST)
    assert written(world) == OLDEST
    node = world.node
    term, last = node.engine.term + 1, node.log.last_index
    later = bytes(commands.encode(5, GROUPS))
    world.hear(VOTER, [msg.APPEND, term, last, node.log.term_at(last), last, 1, [[term, later]]])
    world.turn(0.1)
    assert node.engine.commit_index == last, "it is not even committed"
    assert node.formats.in_force == world.wires.required == FORMAT


# -- forwarding --------------------------------------------------------------------------------------------


def follows(world: Lone) -> None:
    depose(world, world.node.engine.term + 1)
    assert world.node.engine.leader == VOTER


@pytest.mark.parametrize("form", [OLDEST, FORMAT])
def test_a_leader_gets_the_rows_that_it_understands(form: int) -> None:
    world = mixed(c=form)
    assert written(world) == form
    follows(world)
    frame = [verbs.SET, 1, 0, "/x", b"x"]
    world.node.proposer.submit_batches([Batch(Author(), [None, "me", [frame], "10.0.0.9"], [frame], 100)])
    world.turn(0.01)
    (sent,) = [message for member, message in world.said if member == VOTER and message[0] == msg.FORWARD]
    assert sent[1][0][1:] == [None, "me", [frame], "10.0.0.9"][: 3 if form == OLDEST else 4]


def test_rows_of_the_older_version_are_taken_while_its_format_is_in_force_and_no_longer() -> None:
    world = mixed(c=OLDEST)
    assert written(world) == OLDEST
    row = [7, b"s" * 16, "her", [[verbs.SET, 1, 0, "/y", b"y"]]]
    world.hear(LEARNER, [msg.FORWARD, [row]])
    world.turn(0.5)
    answers = [message for member, message in world.said if member == LEARNER]
    (placed,) = [message for message in answers if message[0] == msg.PLACED]
    assert placed[1][0][0] == 7
    assert world.node.store.files["/y"].versions[-1][1] == b"y"
    world.wires.said[VOTER] = FORMAT
    assert written(world) == FORMAT
    world.hear(LEARNER, [msg.FORWARD, [[8, *row[1:]]]])
    world.turn(0.5)
    (refused,) = [message for _, message in world.said if message[0] == msg.REFUSED]
    assert refused[1:3] == [[8], "bad_request"], "or it would be a way around what is counted by owner"
    assert world.node.conduct.total == 0


def test_a_batch_that_the_older_version_did_not_split_is_taken() -> None:
    world = mixed(c=OLDEST)
    assert written(world) == OLDEST
    frames = [[verbs.SET, number + 1, 0, f"/many/{number}/x", b""] for number in range(4096)]
    world.hear(LEARNER, [msg.FORWARD, [[7, None, "her", frames]]])
    world.turn(0.5)
    assert [message[0] for member, message in world.said if message[0] in (msg.PLACED, msg.REFUSED)] == [
        msg.PLACED
    ]
    assert len(world.node.store.files) == 4097


# -- comparing ---------------------------------------------------------------------------------------------


def test_what_a_leader_of_the_older_version_compares_is_answered_and_no_fault() -> None:
    world = mixed(c=OLDEST)
    assert written(world) == OLDEST
    follows(world)
    for number in range(40):
        world.hear(VOTER, [msg.HASH, number, 5])
        world.hear(VOTER, [msg.VERDICT, 5, "ab" * 16, [world.node.me.id]])
    told = [message for _, message in world.said if message[0] == msg.HASHED]
    assert told[0] == [msg.HASHED, 0, 5, None, formats.NOT_COMPARED]
    assert len(told) == 40
    assert world.node.conduct.total == 0
    assert world.wires.hung_up == []
    assert world.node.divergence is None
    assert world.node.replica_check.differing == {}


def test_earlier_forms_are_taken_from_nobody_else() -> None:
    world = mixed()
    assert world.commits()
    world.hear(LEARNER, [msg.HASH, 1, 5])
    world.hear(VOTER, [msg.VERDICT, 5, None, []])  # this node leads
    assert world.node.conduct.total == 2
    assert not [message for _, message in world.said if message[0] == msg.HASHED]


def test_a_member_of_the_older_version_is_left_out_of_comparisons() -> None:
    world = mixed(c=OLDEST)
    assert written(world) == OLDEST
    world.node.membership.act("hash", [None], lambda ok, result: None)
    world.turn(2)
    asked = {member for member, message in world.said if message[0] in (msg.HASH, msg.SAMPLE)}
    assert asked == {LEARNER}
    assert world.node.divergence is None


# -- the handshake -----------------------------------------------------------------------------------------


def test_who_does_not_say_what_it_reads_is_of_the_older_version() -> None:
    heard: list[Hello] = []

    def admit(hello: Hello) -> None:
        heard.append(hello)

    accepter = Accepter(Introduction("b" * 16, "c1", "127.0.0.1:2"), secrets=(), nonce=b"m" * 32, admit=admit)
    accepter.receive(HELLO)
    accepter.receive(msgpack.packb([2, None]))
    assert [hello.reads for hello in heard] == [OLDEST]
    assert make_dialler(OLDEST).receive(CHALLENGE) is not None
    one = make_dialler(OLDEST)
    one.receive(CHALLENGE)
    assert one.accepter is not None and one.accepter.reads == OLDEST
    with pytest.raises(PeerRefusedError, match=r"b{16} runs an older version .* format 1; .* format 4"):
        make_dialler(FORMAT).receive(CHALLENGE)


def make_dialler(least: int) -> Dialler:
    me = Introduction("a" * 16, "c1", "127.0.0.1:1")
    return Dialler(me, expect="b" * 16, purpose=MEMBER, secret=None, nonce=b"n" * 32, least=least)


@pytest.mark.parametrize("odd", [0, 256, -1, "2", None, True, 2.0])
def test_what_is_no_format_is_refused(odd: Any) -> None:
    hello = msgpack.unpackb(HELLO)
    hello[2]["reads"] = odd
    accepter = Accepter(
        Introduction("b" * 16, "c1", "x:2"), secrets=(), nonce=b"m" * 32, admit=lambda _: None
    )
    with pytest.raises(PeerRefusedError, match="reads must be 1 to 255"):
        accepter.receive(msgpack.packb(hello))


class Older(Member):
    """A member that says it reads the oldest format only."""

    def __init__(self, name: str, **options: Any) -> None:
        super().__init__(name, **options)
        me = self.peers._identity

        def identity() -> Introduction:
            return Introduction(me().member, me().cluster, me().address, OLDEST)

        self.peers._identity = identity  # type: ignore[method-assign]


def test_members_that_read_too_little_are_refused_from_then_on_and_told_why(
    run: Callable[[Any], None], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(links, "FIRST_PAUSE_REFUSED", 0.01)
    monkeypatch.setattr(links, "LONGEST_PAUSE_REFUSED", 0.02)
    caplog.set_level(logging.INFO, "visord.peers")

    async def main() -> None:
        async with members("a", "b") as (a, b):
            c = Older("c")
            await c.peers.start()
            know(a, b, c)
            know(c, a)
            await until(lambda: a.peers.reachable("c") and c.peers.reachable("a"))
            assert (a.peers.reads("b"), a.peers.reads("c"), a.peers.reads("x")) == (FORMAT, OLDEST, OLDEST)
            a.peers.require(FORMAT)
            says = "older version"
            await until(lambda: says in a.peers.problem("c") and says in c.peers.problem("a"))
            assert not a.peers.reachable("c")
            assert a.peers.reachable("b"), "nobody else is disturbed"
            assert a.say("b", 5)
            await until(lambda: ("a", [5]) in b.heard)
            await asyncio.sleep(0.1)
            assert not a.peers.reachable("c") and not c.peers.reachable("a")
            await c.close()

    run(main())
    assert [one for one in caplog.records if "install a later version there" in one.getMessage()]


# -- the older version's batches ---------------------------------------------------------------------------


def test_as_many_small_entries_as_an_older_leader_puts_into_one_message_are_read() -> None:
    entry = bytes(commands.encode(1000, [[None, "", [[verbs.NOP, 1, 0]], ""]], form=OLDEST))
    entries = [[1, entry]] * ((4 << 20) // max(len(entry), 30))
    data = msg.pack([msg.APPEND, 1, 0, 0, 0, 1, entries])
    assert len(data) > COUNTED
    assert 3 * len(entries) > MAX_ELEMENTS
    assert msg.well_formed(decode(data))
    with pytest.raises(ValueError, match="elements"):
        decode(msg.pack([msg.FORWARD, [[1, [0, 0]]] * len(entries)]))
