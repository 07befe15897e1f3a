"""Commands and sessions: any bytes are survived, the same bytes give the same state, each write happens once."""

from __future__ import annotations

import os

import msgpack
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.state.driving import SESSION, Driven
from visor.protocol.frames import Decoder
from visord.state import command, sessions
from visord.state.command import UnknownFormat
from visord.state.digest import state_hash
from visord.state.exporting import export_commits
from visord.state.formats import FORMAT
from visord.state.importing import import_commits
from visord.state.machine import Machine
from visord.state.tables import export_tables, import_tables

EXAMPLES = int(300 * float(os.environ.get("VISOR_SOAK", "1")))

LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False),
    st.binary(max_size=8),
    st.text(max_size=8),
    st.sampled_from(["/", "/a", "/a/b", "/x y", 30, 31, 32, 33, 34, 35, 39, 0, 1, 2, 3]),
)
ANYTHING = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
)
FRAMES = st.one_of(
    ANYTHING,
    st.tuples(st.sampled_from([30, 31, 32, 33, 34, 35, 39]), st.integers(0, 20), st.integers(0, 3)).flatmap(
        lambda head: st.lists(ANYTHING, max_size=7).map(lambda rest: [*head, *rest])
    ),
)
GROUPS = st.one_of(
    st.tuples(
        st.sampled_from([None, b"s", b"", "s", 5, b"s" * 65]),
        st.sampled_from(["me", "", None, "m" * 1025]),
        st.lists(FRAMES, max_size=4),
        st.sampled_from(["10.0.0.7", "", 7, "o" * 65]),
    ).map(list),
)


def test_a_command_is_what_was_said():
    groups = [[SESSION, "me", [[30, 1, 0, "/a", b"x"]], "10.0.0.7"], [None, "you", [[34, 2, 0]], "unix:0"]]
    made = command.encode(77, groups)
    assert made[:1] == b"\0"
    assert made.decoded == (77, groups)
    assert command.decode(bytes(made)).decoded == made.decoded
    assert command.decode(bytes(made)) == made


def test_what_is_applied_was_read_from_the_bytes():
    frame = [32, 1, 0, [], [[0, "/a", b"x"]]]
    made = command.encode(0, [[None, "me", [frame], ""]])
    frame[4][0][1] = "/other"
    assert made.decoded[1][0][2] == [[32, 1, 0, [], [[0, "/a", b"x"]]]]


def test_commands_of_the_format_before_are_read():
    old = b"\0" + msgpack.packb([1, 5, [[None, "me", [[30, 1, 0, "/a", b"x"]]]]])
    assert command.read(old) == (5, [[None, "me", [[30, 1, 0, "/a", b"x"]], ""]])
    assert Machine().apply(1, 1, old) == [[1]]


def test_a_later_format_stops_the_node():
    machine = Machine()
    with pytest.raises(UnknownFormat, match=f"format {FORMAT + 1}"):
        machine.apply(1, 1, b"\0" + msgpack.packb([FORMAT + 1, "whatever"]))
    assert machine.index == 0


@pytest.mark.parametrize("data", [b"\1", b"\2", b"\2anything"])
def test_what_is_for_others_changes_nothing(data):
    machine = Machine()
    assert machine.apply(1, 3, data) == []
    assert (machine.index, machine.term, machine.store.rev) == (1, 3, 0)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0",
        b"\3",
        b"\0\xc1",
        b"garbage",
        b"\0" + msgpack.packb("text"),
        b"\0" + msgpack.packb([]),
        b"\0" + msgpack.packb([2, 2]),
        b"\0" + msgpack.packb([2, -1, []]),
        b"\0" + msgpack.packb([2, 2**63, []]),
        b"\0" + msgpack.packb([2, 1.5, []]),
        b"\0" + msgpack.packb([2, 1, {}]),
        b"\0" + msgpack.packb([2, 1, [], []]),
        b"\0" + msgpack.packb([True, 1, []]),
        b"\0" + msgpack.packb([2, 5, []]) + b"\0",
        b"\0" + msgpack.packb([2, 5, [[None, "me", [], ""]]])[:-1],
        b"\0" + msgpack.packb([2, 5, [None]]),
        b"\0" + msgpack.packb([2, 5, [[None, "me", []]]]),
        b"\0" + msgpack.packb([2, 5, [[None, "me", {}, ""]]]),
        b"\0" + msgpack.packb([1, 5, [[None, "me", [], ""]]]),
        b"\0" + b"\x91" * 100_000,
        b"\0" + b"\xdd\xff\xff\xff\xff",
        b"\0" + b"\x93\x02\x05\x91\x94\xc0\xa0\x91" + b"\x91" * 1021 + b"\x90" + b"\xa0",
    ],
)
def test_what_cannot_be_read_is_never_skipped(data):
    machine = Machine()
    with pytest.raises(UnknownFormat):
        machine.apply(1, 3, data)
    assert (machine.index, machine.store.rev) == (0, 0)


def nested(depth, inner=b"\x90"):
    """A SET whose value is an empty list in `depth` lists, as the wire's decoder gives it."""
    data = b"\x95\x1e\x05\x00\xa2/a" + b"\x91" * depth + inner
    decoder = Decoder(1 << 20)
    (message,) = decoder.feed(data) or [None]
    return message


def test_depths_that_can_be_packed_and_not_read_are_refused():
    fates = set()
    for depth in range(900, 1024):
        frame = nested(depth)
        if frame is None:
            break
        try:
            made = command.encode(0, [[None, "me", [frame], ""]])
        except ValueError:
            assert command.unfit(frame)
            fates.add("refused")
        else:
            assert not command.unfit(frame)
            assert msgpack.packb(made.decoded[1][0][2][0]) == msgpack.packb(frame)
            fates.add("carried")
    assert fates == {"refused", "carried"}


def test_applying_by_reference_would_part_the_members():
    """What this module guards against: the proposing node has the write, everybody who reads the log has not."""
    frame = next(
        frame for frame in map(nested, range(1010, 1024)) if frame is not None and command.unfit(frame)
    )
    groups = [[None, "me", [[30, 1, 0, "/good", b""], frame], ""]]
    packed = b"\0" + msgpack.packb([command.FORMAT, 0, groups])
    by_reference = command.Command(packed)
    by_reference.decoded = (0, groups)
    leader = Machine()
    leader.apply(1, 1, by_reference)
    assert leader.store.rev == 1
    with pytest.raises(UnknownFormat):
        Machine().apply(1, 1, packed)


def test_the_number_of_outcomes_is_that_of_the_frames_whatever_the_group():
    frames = [[30, 1, 0, "/a", b""], [34, 2, 0], None, "odd", [[]]]
    groups = [
        [None, "me", frames, ""],
        [None, "m" * (command.MAX_ACTOR + 1), frames, ""],
        [None, 5, frames, ""],
        [b"", "me", frames, ""],
        [b"s" * (command.MAX_SESSION_ID + 1), "me", frames, ""],
        ["text", "me", frames, ""],
        [None, "me", frames, "o" * (command.MAX_OWNER + 1)],
        [None, "me", frames, None],
        [None, "me", [], ""],
    ]
    outcomes = Machine().apply(1, 1, command.encode(0, groups))
    assert [len(one) for one in outcomes] == [5] * 8 + [0]
    assert all(outcome.code == "bad_request" for one in outcomes[1:] for outcome in one)


@settings(max_examples=EXAMPLES)
@given(st.lists(st.binary(max_size=60), max_size=5))
def test_random_bytes_raise_nothing_else(pieces):
    machine = Machine()
    for index, piece in enumerate(pieces, 1):
        for data in (piece, b"\0" + piece, b"\0\x93\x02\x05" + piece):
            try:
                machine.apply(machine.index + 1, index, data)
            except UnknownFormat:
                continue


LEAVES_OF_THE_WIRE = (
    "c0 c2 05 ff cfffffffffffffffff d38000000000000000 a22f61 c40178 ca7fc00001 cb7f7f7f7f7f7f7f7f c70005 80 90"
    " dc0000 df00000000"
)
"""nil, false, integers to both ends, text, bytes, floats that are no numbers, an extension, empty containers."""
WIRE = st.recursive(
    st.sampled_from(list(map(bytes.fromhex, LEAVES_OF_THE_WIRE.split()))),
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda parts: bytes([0x90 | len(parts)]) + b"".join(parts))
        | st.lists(inner, max_size=4).map(
            lambda parts: (
                bytes([0x80 | len(parts)]) + b"".join(b"\xa1%c" % (97 + i) + p for i, p in enumerate(parts))
            )
        )
        | st.tuples(st.sampled_from([1, 15, 500, 1000, 1018, 1019, 1020, 1021]), inner).map(
            lambda deep: b"\x91" * deep[0] + deep[1]
        )
    ),
    max_leaves=12,
)


@pytest.mark.soak
@settings(max_examples=EXAMPLES)
@given(
    st.lists(st.tuples(st.sampled_from([b"\x1e", b"\x20", b"\x27"]), st.lists(WIRE, max_size=5)), max_size=4)
)
def test_all_that_the_door_lets_in_is_carried_as_it_was_or_refused(messages):
    decoder = Decoder(1 << 20)
    data = b"".join(
        bytes([0x93 + len(rest)]) + verb + b"\x05\x00" + b"".join(rest) for verb, rest in messages
    )
    for frame in decoder.feed(data):
        try:
            made = command.encode(0, [[None, "me", [frame], ""]])
        except ValueError:
            assert command.unfit(frame)
            continue
        assert command.decode(bytes(made)).decoded == made.decoded or b"\xca" in data or b"\xcb" in data
        # Compared as bytes: what is no number does not equal itself.
        assert msgpack.packb(made.decoded) == msgpack.packb((0, [[None, "me", [frame], ""]]))
        one, two = Machine(), Machine()
        assert msgpack.packb(one.apply(1, 1, made)) == msgpack.packb(two.apply(1, 1, bytes(made)))


@pytest.mark.soak
@settings(max_examples=EXAMPLES)
@given(st.lists(st.lists(GROUPS, max_size=3), max_size=6))
@example([[[None, "me", [[32, 1, 0, [], [[3, "/"]] * 4096]], ""]]])
@example([[[b"s", "me", [[39, 1, [39, 1, [39, 1, []]]]], ""]]])
def test_random_messages_never_raise_and_never_part_two_nodes(batches):
    one, two = Machine(), Machine()
    one.apply(1, 1, command.encode(0, [[None, "me", [[30, 1, 0, "/a/b", b"x"]], ""]]))
    two.apply(1, 1, command.encode(0, [[None, "me", [[30, 1, 0, "/a/b", b"x"]], ""]]))
    for index, groups in enumerate(batches, 2):
        made = command.encode(index, groups)
        first, second = one.apply(index, 1, bytes(made)), two.apply(index, 1, made)
        assert first == second
        assert "internal" not in [getattr(outcome, "code", None) for group in first for outcome in group]
    assert export_tables(one) == export_tables(two)
    assert state_hash(one.store) == state_hash(two.store)
    msgpack.packb(export_tables(one))


def test_an_entry_is_applied_once():
    driven = Driven()
    driven.set("/a")
    assert driven.machine.apply(1, 1, driven.log[0]) == []
    assert driven.store.rev == 1


def test_command_time_never_goes_back():
    driven = Driven()
    driven.set("/a")
    driven.time = 10
    driven.set("/b")
    assert [commit[1] for commit in driven.store.commits(1, 2)] == [1000, 1000]
    assert driven.machine.time == 1000


def test_actors_and_notes_are_kept():
    driven = Driven()
    driven.send([30, 1, 0, "/a", b"", 0, 0, 0, "why"], actor="alice")
    driven.send([30, 1, 0, "/a", b""], actor="bob")
    assert [commit[2:4] for commit in driven.store.commits(1, 2)] == [("alice", "why"), ("bob", None)]


# -- exactly once --------------------------------------------------------------------------------------


def test_a_write_sent_again_gives_its_first_outcome():
    driven = Driven()
    frame = [30, 5, 0, "/a", b"x"]
    assert driven.send(frame, session=SESSION) == [1]
    assert driven.send(frame, session=SESSION) == [1]
    assert driven.send([39, 6, frame], frame, session=SESSION) == [1, 1]
    assert driven.store.rev == 1
    refused = driven.send([30, 7, 0, "/a", b"", 1, 9], session=SESSION)
    driven.send([30, 8, 0, "/b", b""], session=SESSION)
    (again,) = driven.send([39, 7, [30, 7, 0, "/a", b"", 1, 9]], session=SESSION)
    assert again.code == refused[0].code == "rev_mismatch"
    assert again.details == {"path": "/a", "expected": 9, "actual": 1}, (
        "numbers are kept, the path comes again"
    )
    assert driven.send(frame, session=b"another session") == [3], "ids are a session's own"


def test_outcomes_survive_a_restart():
    driven = Driven()
    driven.send([30, 1, 0, "/a", b"x"], [32, 2, 0, [], [[2, "/a"]]], [30, 3, 0, "/", b""], session=SESSION)
    fresh = Machine()
    import_commits(fresh.store, export_commits(driven.store, 1, 1))
    import_tables(fresh, msgpack.unpackb(msgpack.packb(export_tables(driven.machine))))
    data = command.encode(
        1, [[SESSION, "me", [[39, 9, [30, 1, 0, "/a", b"x"]], [39, 9, [30, 3, 0, "/", b""]]], ""]]
    )
    (outcomes,) = fresh.apply(fresh.index + 1, 1, data)
    assert outcomes[0] == 1
    assert outcomes[1].code == "is_directory"
    assert fresh.store.rev == 1


def test_what_was_acknowledged_is_forgotten():
    driven = Driven()
    for write in range(1, 50):
        driven.send([30, write, write, "/a", b"x"], session=SESSION)
    assert len(driven.machine.sessions.get(SESSION).outcomes) <= 2
    (stale,) = driven.send([30, 3, 0, "/a", b""], session=SESSION)
    assert (stale.code, stale.details["field"]) == ("bad_request", "id")
    (lost,) = driven.send([39, 99, [30, 3, 0, "/a", b""]], session=SESSION)
    assert lost.code == "session_lost"
    assert driven.store.rev == 49


def test_a_retry_in_an_unknown_session_is_not_executed():
    driven = Driven()
    retry = [39, 4, [30, 4, 0, "/a", b""]]
    assert [o.code for o in driven.send(retry, retry, session=SESSION)] == ["session_lost"] * 2
    assert driven.send(retry, session=None)[0].code == "session_lost"
    lost, done = driven.send(retry, [30, 5, 0, "/b", b""], session=SESSION)
    assert (lost.code, done) == ("session_lost", 1)
    assert driven.send(retry, session=SESSION)[0].code == "session_lost", "from before the session's new life"
    assert driven.send([39, 6, [30, 6, 0, "/c", b""]], session=SESSION) == [2], (
        "not sent before, so it happens"
    )
    assert driven.paths() == ["/b", "/c"]


def test_sessions_are_forgotten_by_age_of_commands():
    driven = Driven()
    driven.send([30, 1, 0, "/a", b""], session=SESSION)
    driven.time += sessions.MAX_AGE
    driven.set("/b")
    assert driven.machine.sessions.get(SESSION) is not None
    driven.time += 1
    driven.set("/b")
    assert driven.machine.sessions.get(SESSION) is None
    assert driven.machine.sessions.held == 0


def test_outcomes_of_one_session_are_bounded():
    driven = Driven()
    frames = [[30, write, 0, "/a", b""] for write in range(1, sessions.MAX_OUTCOMES + 2)]
    driven.send(*frames, session=SESSION)
    assert len(driven.machine.sessions.get(SESSION).outcomes) <= sessions.MAX_OUTCOMES
    assert driven.send([39, 9999, frames[0]], session=SESSION)[0].code == "session_lost"
    assert driven.send([39, 9999, frames[-1]], session=SESSION) == [sessions.MAX_OUTCOMES + 1]


def test_a_big_answer_is_not_kept_but_not_repeated_either():
    driven = Driven()
    driven.set("/big", b"x" * 10_000)
    reads = [32, 1, 0, [], [[2, "/big"]]]
    writes = [32, 2, 0, [], [[2, "/big"], [0, "/a", b""]]]
    first, second = driven.send(reads, writes, session=SESSION)
    assert (first[0], second[0]) == (1, 2)
    again, lost = driven.send([39, 3, reads], [39, 4, writes], session=SESSION)
    assert again[0] == 2, "what changes nothing may be done again"
    assert (lost.code, lost.details) == ("session_lost", {"rev": 2})
    assert driven.store.rev == 2


def old(*groups):
    """Return the bytes of a command of format 1: groups without an owner."""
    return b"\x00" + msgpack.packb([1, 5, [list(group) for group in groups]], use_bin_type=True)


def test_what_was_committed_before_is_judged_by_the_bounds_of_then():
    """A log that is read again by a later version must lead to the same state."""
    machine = Machine()
    for start in range(0, 20_000, 4000):
        operations = [[0, f"/d/{number}", b""] for number in range(start, start + 4000)]
        machine.apply(machine.index + 1, 1, old([None, "me", [[32, 1, 0, [], operations]]]))
    assert machine.apply(machine.index + 1, 1, old([None, "me", [[31, 1, 0, "/d", True]]])) == [[6]]
    assert not machine.store.files["/d/1"].versions[-1][1]
    grants = [[36, number, 0, 60_000] for number in range(1, 1500)]
    outcomes = machine.apply(machine.index + 1, 1, old([None, "me", grants]))
    assert all(type(outcome) is list for outcome in outcomes[0])
    for number in range(0, 12_000, 1000):
        groups = [[b"%016d" % session, "me", [[34, 1, 0]]] for session in range(number, number + 1000)]
        outcomes = machine.apply(machine.index + 1, 1, old(*groups))
        assert all(outcome == [6] for outcome in outcomes)
