"""What a redaction leaves: the same versions, revs, sizes and authors, and a mark where the value was."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.state.driving import SESSION, Driven
from tests.storage.storage_world import contents, same
from visor.protocol import verbs
from visord.state import command, redact
from visord.state.calendar import spelled
from visord.state.digest import digest, state_hash
from visord.state.exporting import export_base, export_columns
from visord.state.formats import RIGHTS, SECRETS
from visord.state.importing import import_base, import_columns
from visord.state.machine import Machine
from visord.state.refusal import Refusal
from visord.state.tables import Export, Import, export_tables, import_tables
from visord.state.trim import trim

SECRET: Final = b"correct horse battery staple"


def mark(size: int = len(SECRET)) -> bytes:
    """What stands where a value of this size was."""
    return b"redacted by tester at 1970-01-01T00:00:01Z (%d bytes)" % size


MARK: Final = mark()


def redacted(driven: Driven, path: str, *more: Any) -> Any:
    return driven.write(verbs.REDACT, path, *more)


def history(driven: Driven, path: str) -> list[Any]:
    """The commits that a client is shown of a path."""
    return driven.ask(verbs.LOG, [verbs.SEL_PATH, path])[1]


def test_the_value_is_gone_and_all_else_stays() -> None:
    driven = Driven()
    for value in (SECRET, b"second", SECRET):
        driven.set("/a", value)
    before = history(driven, "/a")
    assert redacted(driven, "/a", 1, 2, "it leaked") == [3, 2, 1, 2, 0]
    assert driven.get("/a", 1) == (1, MARK + b": it leaked", 1, 1, 0)
    assert driven.get("/a", 2) == (2, mark(6) + b": it leaked", 1, 2, 0)
    assert driven.get("/a") == (3, SECRET, 1, 3, 0)
    assert [driven.ask(verbs.STAT, "/a", rev)[2] for rev in (1, 2, 3)] == [28, 6, 28]
    assert driven.ask(verbs.LIST, "/", 1)[1] == [["a", 1, 28, 1]]
    after = history(driven, "/a")
    assert [commit[:4] for commit in after] == [commit[:4] for commit in before]
    assert driven.store.rev == 3


def test_memory_is_counted_as_it_is() -> None:
    driven = Driven()
    driven.set("/a", SECRET)
    before = driven.store.held
    redacted(driven, "/a")
    assert driven.store.held - before == len(MARK) - len(SECRET)


def test_the_latest_value_may_go_as_well_and_deletions_stay() -> None:
    driven = Driven()
    driven.set("/a", SECRET)
    driven.delete("/a")
    driven.set("/a", SECRET)
    assert redacted(driven, "/a") == [3, 2, 1, 3, 0]
    assert driven.get("/a")[1] == MARK
    assert driven.get("/a", 2) is None
    assert redacted(driven, "/a") == [3, 0, 0, 0, 0], "a mark is not redacted again"
    driven.time += 60_000
    redacted(driven, "/a", 1, None, "again")
    assert driven.get("/a")[1] == MARK
    driven.set("/a", b"new")
    assert driven.get("/a")[1] == b"new"


def test_guards_meet_the_mark_and_the_old_rev() -> None:
    driven = Driven()
    driven.set("/a", SECRET)
    redacted(driven, "/a")
    guessed = driven.txn([[verbs.T_SET, "/b", b""]], guards=[[verbs.G_VALUE, "/a", SECRET]])
    assert guessed[1] is False
    assert driven.txn([[verbs.T_SET, "/b", b""]], guards=[[verbs.G_REV, "/a", 1]])[1] is True


def test_a_revert_restores_no_mark() -> None:
    driven = Driven()
    driven.set("/d/a", SECRET)
    driven.set("/d/a", b"new")
    driven.set("/d/b", b"other")
    redacted(driven, "/d/a", 1, 1)
    refused = driven.write(verbs.REVERT, "/d", 1)
    assert refused.code == "bad_request"
    assert refused.text == "/d/a: the value that rev 1 wrote was redacted, and cannot be brought back"
    assert driven.write(verbs.REVERT, "/d", 2) == 4, "what is not written again is in nobody's way"


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        (["/"], "is_directory", None),
        ([5], "bad_request", "path"),
        (["/a", 0], "bad_request", "first"),
        (["/a", 5, 4], "bad_request", "last"),
        (["/a", 1, 99], "future_rev", None),
        (["/a", 1, None, 7], "bad_request", "note"),
        (["/a", 1, None, "x" * 513], "too_large", None),
        (["/a", 1, None, None, 1], "bad_request", "message"),
    ],
)
def test_what_is_wrong_is_named(fields: list[Any], code: str, field: str | None) -> None:
    driven = Driven()
    driven.set("/a", SECRET)
    refused = driven.write(verbs.REDACT, *fields)
    assert refused.code == code
    assert field is None or refused.details["field"] == field
    assert driven.get("/a")[1] == SECRET


def test_members_of_before_are_not_asked_for_it() -> None:
    machine = Machine()
    frames = [[verbs.SET, 1, 0, "/a", SECRET], [verbs.REDACT, 2, 0, "/a"]]
    for form, wanted in ((RIGHTS, "bad_request"), (SECRETS, None)):
        entry = command.encode(1000, [[None, "me", frames, ""]], form=form)
        outcome = machine.apply(machine.index + 1, 1, entry)[0][1]
        assert (outcome.code if isinstance(outcome, Refusal) else None) == wanted


def test_what_a_transaction_read_is_kept_for_no_retry() -> None:
    driven = Driven()
    driven.set("/a", SECRET)
    driven.set("/b", b"known")
    for number, path in ((50, "/a"), (51, "/b")):
        read = [verbs.TXN, number, 0, [], [[verbs.T_GET, path], [verbs.T_SET, "/c", b""]]]
        driven.send(read, session=SESSION)
    redacted(driven, "/a")
    assert SECRET not in repr(export_tables(driven.machine)).encode()
    read[1:] = [50, 0, [], [[verbs.T_GET, "/a"], [verbs.T_SET, "/c", b""]]]
    (lost,) = driven.send([verbs.RETRY, 60, read], session=SESSION)
    assert (lost.code, lost.details) == ("session_lost", {"rev": 3})
    read[1:] = [51, 0, [], [[verbs.T_GET, "/b"], [verbs.T_SET, "/c", b""]]]
    (known,) = driven.send([verbs.RETRY, 61, read], session=SESSION)
    assert known[2][0][1] == b"known"


READS: Final = st.lists(
    st.tuples(
        st.sampled_from([verbs.T_GET, verbs.T_LIST]), st.sampled_from(["/", "/a", "/d", "/d/0", "/none"])
    ),
    max_size=4,
)


@example(
    entries=5, reads=[[(verbs.T_LIST, "/d")]], restarted=False
)  # as many entries as a version has fields
@given(entries=st.integers(0, 7), reads=st.lists(READS, min_size=1, max_size=4), restarted=st.booleans())
def test_whatever_transactions_read_a_redaction_can_be_carried_out(
    entries: int, reads: list[list[tuple[int, str]]], restarted: bool
) -> None:
    """Every member applies it, and each start applies it again: what a result looks like must not end them all."""
    driven = Driven()
    driven.set("/a", SECRET)
    for number in range(entries):
        driven.set(f"/d/{number}", b"known")
    told = {}
    for number, operations in enumerate(reads, 50):
        frame = [verbs.TXN, number, 0, [], [*map(list, operations), [verbs.T_SET, "/c", b""]]]
        told[number] = frame, driven.send(frame, session=SESSION)[0]
    if restarted:
        restored, told_tables = Machine(), export_tables(driven.machine)
        import_columns(restored.store, export_columns(driven.store, 1, driven.store.rev, 1 << 20))
        import_tables(restored, told_tables)
        driven.machine = restored
    redacted(driven, "/a")
    assert SECRET not in repr(export_tables(driven.machine)).encode()
    for number, (frame, outcome) in told.items():
        (again,) = driven.send([verbs.RETRY, number + 100, frame], session=SESSION)
        if isinstance(outcome, Refusal) or (verbs.T_GET, "/a") in reads[number - 50]:
            assert isinstance(again, Refusal)
        else:
            assert repr(again) == repr(outcome) or not restarted


def test_what_a_transaction_read_before_history_was_cut_is_not_kept_either() -> None:
    """The version is gone, or may be: its value was still in what is kept for retries, and so in each checkpoint."""
    driven = Driven()
    driven.set("/a", SECRET)
    driven.set("/b", b"known")
    for number, path in ((50, "/a"), (51, "/b")):
        read = [verbs.TXN, number, 0, [], [[verbs.T_GET, path], [verbs.T_SET, "/c", b""]]]
        driven.send(read, session=SESSION)
    driven.set("/a", b"new")
    driven.write(verbs.RETAIN, None, None, driven.store.rev)
    redacted(driven, "/a", 1, 1)
    assert SECRET not in repr(export_tables(driven.machine)).encode()
    (known,) = driven.send([verbs.RETRY, 61, read], session=SESSION)
    assert known[2][0][1] == b"known"


def test_many_versions_are_taken_out_by_several_writes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redact, "MOST", 3)
    driven = Driven()
    for _ in range(8):
        driven.set("/a", SECRET)
    assert redacted(driven, "/a") == [8, 3, 1, 3, 4]
    assert redacted(driven, "/a", 4) == [8, 3, 4, 6, 7]
    assert redacted(driven, "/a", 7) == [8, 2, 7, 8, 0]
    assert {driven.get("/a", rev)[1] for rev in range(1, 9)} == {MARK}


def test_marks_are_passed_by_in_portions_and_kept_in_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redact, "LOOKED", 4)
    monkeypatch.setattr(redact, "SIZES", 3)
    driven = Driven()
    for _ in range(8):
        driven.set("/a", SECRET)
    assert redacted(driven, "/a", 1, 8) == [8, 4, 1, 4, 5]
    assert redacted(driven, "/a", 5, 8) == [8, 4, 5, 8, 0]
    assert redacted(driven, "/a", 1, 8) == [8, 0, 0, 0, 5]
    assert len(list(redact.rows(driven.store, 0))) == 3
    same(driven.machine, reloaded(driven.machine, whole=False))
    driven.write(verbs.RETAIN, None, None, 6)
    trim(driven.store, 1 << 30)
    assert driven.store.redacted.sizes["/a"].keys() == {6, 7, 8}


@given(st.integers(0, 253_402_300_799_999))
def test_the_mark_has_the_date_that_it_should(time: int) -> None:
    told = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=time)
    assert spelled(time) == told.strftime("%Y-%m-%dT%H:%M:%SZ").rjust(20, "0")
    assert redact.mark("", 1 << 62, None)(5).startswith(b"redacted by somebody at 146")


def test_a_hash_that_was_begun_before_is_begun_anew() -> None:
    driven = Driven()
    for number in range(20):
        driven.set(f"/{number}", SECRET)
    steps = digest(driven.store, driven.store.rev, slice_size=5)
    next(steps)
    redacted(driven, "/1")
    with pytest.raises(StopIteration) as ended:
        next(steps)
    assert isinstance(ended.value.value, Refusal)


# -- against a naive model ----------------------------------------------------------------------------------------

PATHS: Final = ("/a", "/d/b", "/d/c")
Events = list[tuple[Any, ...]]

EVENTS: Final = st.lists(
    st.one_of(
        st.tuples(st.just("set"), st.sampled_from(PATHS), st.binary(max_size=6)),
        st.tuples(st.just("delete"), st.sampled_from(PATHS)),
        st.tuples(st.just("both"), st.binary(max_size=3), st.binary(max_size=3)),
        st.tuples(st.just("redact"), st.sampled_from(PATHS), st.integers(1, 12), st.integers(0, 12)),
        st.tuples(st.just("floor"), st.integers(0, 20)),
        st.tuples(st.just("trim")),
    ),
    max_size=30,
)


class Naive:
    """Each rev as a whole tree of path -> [value, size], and what was taken out of them."""

    def __init__(self) -> None:
        self.trees: list[dict[str, tuple[int, bytes, int]]] = [{}]
        self.floor = 0

    @property
    def rev(self) -> int:
        return len(self.trees) - 1

    def write(self, *writes: tuple[str, bytes | None]) -> None:
        tree = dict(self.trees[-1])
        for path, value in writes:
            if value is None:
                del tree[path]
            else:
                tree[path] = (self.rev + 1, value, len(value))
        self.trees.append(tree)

    def redact(self, path: str, first: int, last: int) -> None:
        for tree in self.trees:
            if path in tree and first <= tree[path][0] <= last:
                rev, _, size = tree[path]
                tree[path] = (rev, mark(size), size)


def play(events: Events) -> tuple[Driven, Naive]:
    driven, naive = Driven(), Naive()
    for kind, *more in events:
        if kind == "set":
            driven.set(*more)
            naive.write((more[0], more[1]))
        elif kind == "delete" and more[0] in naive.trees[-1]:
            driven.delete(*more)
            naive.write((more[0], None))
        elif kind == "both":
            driven.txn([[verbs.T_SET, path, value] for path, value in zip(PATHS, more, strict=False)])
            naive.write(*zip(PATHS, more, strict=False))
        elif kind == "redact" and more[1] <= naive.rev:
            last = min(more[1] + more[2], naive.rev)
            answer = redacted(driven, more[0], more[1], last)
            assert not isinstance(answer, Refusal)
            naive.redact(more[0], more[1], last)
        elif kind == "floor" and naive.floor <= more[0] <= naive.rev:
            driven.write(verbs.RETAIN, None, None, more[0])
            naive.floor = more[0]
        elif kind == "trim":
            trim(driven.store, 1 << 30)
    return driven, naive


@given(EVENTS)
def test_every_rev_is_as_a_naive_model_has_it(events: Events) -> None:
    driven, naive = play(events)
    for rev in range(naive.floor, naive.rev + 1):
        for path in PATHS:
            found = driven.get(path, rev) if rev else None
            wanted = naive.trees[rev].get(path)
            assert (None if found is None else found[:2]) == (None if wanted is None else wanted[:2])
            if wanted is not None:
                assert driven.ask(verbs.STAT, path, rev)[2] == wanted[2]


@given(EVENTS, st.booleans())
def test_a_checkpoint_keeps_it_and_replicas_are_equal(events: Events, trimmed: bool) -> None:
    driven, _ = play([event for event in events if event[0] != "trim"])
    if trimmed:  # whatever a member has forgotten
        trim(driven.store, 1 << 30)
    replica = Machine()
    for index, entry in enumerate(driven.log, 1):
        replica.apply(index, 1, entry)
    same(driven.machine, replica)
    assert state_hash(driven.store) == state_hash(replica.store)
    for whole in (False, True):
        loaded = reloaded(driven.machine, whole=whole)
        same(driven.machine, loaded)
        assert state_hash(loaded.store) == state_hash(replica.store)
        entry = command.encode(driven.time, [[None, "tester", [[verbs.REDACT, 1, 0, "/a"]], ""]])
        assert loaded.apply(loaded.index + 1, 1, entry) == Machine.apply(
            reloaded(driven.machine, whole=whole), driven.machine.index + 1, 1, entry
        )


def reloaded(machine: Machine, *, whole: bool) -> Machine:
    """A machine out of what a checkpoint holds of another."""
    store, new = machine.store, Machine()
    if store.floor:
        rows, _ = export_base(store, None, 1 << 30)
        import_base(new.store, store.floor, store.floor_time, rows)
    rev = store.floor + 1
    while rev <= store.rev:
        columns = export_columns(store, rev, store.rev, 1 << 30)
        import_columns(new.store, columns)
        rev += columns.size
    if whole:
        import_tables(new, export_tables(machine))
        return new
    export = Export(machine)
    tables = Import(new, export.head)
    tables.add(export.rows())
    export.close()
    for _ in tables.finish():
        pass
    return new


def test_contents_of_a_machine_tell_redactions_apart() -> None:
    one, two = Driven(), Driven()
    for driven in (one, two):
        driven.set("/a", SECRET)
    redacted(one, "/a")
    assert contents(one.machine) != contents(two.machine)
