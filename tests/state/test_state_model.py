"""The machine against the naive model: random commands as real bytes, every read at every readable rev."""

from __future__ import annotations

import os

import msgpack
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.state.naive import Naive
from visord.state import command, sorted_names
from visord.state import trim as trimming
from visord.state.digest import state_hash
from visord.state.exporting import export_base, export_commits
from visord.state.importing import import_base, import_commits
from visord.state.machine import Machine
from visord.state.query import answer
from visord.state.reads import diff, page
from visord.state.refusal import Refusal
from visord.state.tables import export_tables, import_tables
from visord.state.trim import trim

pytestmark = pytest.mark.soak

NAMES = ["a", "b", "a-b", "é"]
PATHS = st.lists(st.sampled_from(NAMES), min_size=1, max_size=3).map(lambda names: "/" + "/".join(names))
PLACES = st.one_of(PATHS, st.just("/"))
GLOBS = st.sampled_from(
    [
        "/**",
        "/*",
        "/a",
        "/a/*",
        "/a**",
        "/a/**",
        "/*/b",
        "/?",
        "/a/?/*",
        "/**/a",
        "/*-*",
        "/**b**",
        "/é/**",
        "/*/*/*",
    ]
)
VALUES = st.sampled_from([b"", b"x", b"y", b"\x00\xff"])
NOTES = st.sampled_from([None, "note", "änderung"])


def selectors(paths=PLACES):
    one = st.one_of(
        st.tuples(st.sampled_from([0, 1, 2]), paths).map(list),
        GLOBS.map(lambda glob: [3, glob]),
        st.tuples(st.just(4), paths, st.one_of(st.none(), paths)).map(list),
    )
    return st.one_of(one, one, st.lists(one, min_size=1, max_size=4).map(lambda some: [5, some]))


def revs(limit=60):
    return st.integers(0, limit)


GUARDS = st.one_of(
    st.just([]),
    st.tuples(st.integers(0, 4), revs(30)).map(list),
)
OPERATIONS = st.lists(
    st.one_of(
        st.tuples(st.just(0), PATHS, VALUES).map(list),
        st.tuples(st.just(1), PATHS, st.booleans()).map(list),
        st.tuples(st.just(1), PATHS).map(list),
        st.tuples(st.just(2), PLACES).map(list),
        st.tuples(st.just(3), PLACES).map(list),
    ),
    max_size=6,
)
TXN_GUARDS = st.lists(
    st.one_of(
        st.tuples(st.sampled_from([0, 1, 2, 3, 4, 6, 7]), PLACES, revs(30)).map(list),
        st.tuples(st.just(5), PLACES, VALUES).map(list),
    ),
    max_size=2,
)

SET = st.tuples(PATHS, VALUES, GUARDS, NOTES).map(
    lambda t: [30, t[0], t[1], *t[2]] if t[3] is None else [30, t[0], t[1], *(t[2] or [0, 0]), 0, t[3]]
)
DELETE = st.tuples(PLACES, st.booleans(), GUARDS).map(lambda t: [31, t[0], t[1], *t[2]])
TXN = st.tuples(TXN_GUARDS, OPERATIONS, OPERATIONS, NOTES).map(lambda t: [32, *t])
REVERT = st.tuples(PLACES, revs(20), st.one_of(st.none(), revs(40)), NOTES).map(lambda t: [33, *t])
WRITES = st.one_of(SET, SET, SET, DELETE, TXN, TXN, REVERT, st.just([34]))


def plain(outcome):
    """Bring outcomes of both sides to one form."""
    if isinstance(outcome, Refusal):
        outcome = (outcome.code, outcome.details)
    if isinstance(outcome, tuple) and len(outcome) == 2 and isinstance(outcome[0], str):
        code, details = outcome
        if code in ("guard_failed", "session_lost"):
            return (code, {})
        if code == "bad_request":
            return (code, {"field": details["field"]} if "field" in details else {})
        return outcome
    if isinstance(outcome, (list, tuple)):
        return [plain(part) for part in outcome]
    return outcome


class Registry(RuleBasedStateMachine):
    @initialize()
    def start(self):
        self.naive = Naive()
        self.machine = Machine()
        self.twin = Machine()
        self.clock = 1000
        self.write = 0
        self.sent = []

    def send(self, groups):
        data = command.encode(self.clock, groups)
        index = self.machine.index + 1
        mine = self.machine.apply(index, 1, data)
        self.twin.apply(index, 1, bytes(data))
        theirs = self.naive.command(self.clock, groups)
        assert plain(mine) == plain(theirs)

    # -- writes ---------------------------------------------------------------------------------------

    @rule(
        writes=st.lists(WRITES, min_size=1, max_size=10),
        session=st.sampled_from([None, b"s" * 16, b"t" * 16]),
        pause=st.sampled_from([0, 0, 1, 50]),
        acked=st.integers(0, 3),
    )
    def writes(self, writes, session, pause, acked):
        self.write_all(writes, session, pause, acked)

    @rule(writes=st.lists(WRITES, min_size=1, max_size=10))
    def more_writes(self, writes):
        self.write_all(writes, None, 1, 0)

    @rule(paths=st.lists(PATHS, min_size=1, max_size=12), value=VALUES)
    def sets(self, paths, value):
        # So that there is something to delete, revert and read.
        self.write_all([[30, path, value] for path in paths], b"s" * 16, 1, 0)

    def write_all(self, writes, session, pause, acked):
        self.clock += pause
        frames = []
        for verb, *fields in writes:
            self.write += 1
            frames.append([verb, self.write, max(0, self.write - 5 * acked) if acked else 0, *fields])
        self.sent += [(session, frame) for frame in frames]
        self.send([[session, "tester", frames, "10.0.0.7"]])

    @rule(data=st.data(), retry=st.booleans(), fresh=st.booleans())
    def again(self, data, retry, fresh):
        if self.sent:
            session, frame = data.draw(st.sampled_from(self.sent[-20:]))
            if session is None and not retry:
                return
            frame = [39, frame[1], frame] if retry else frame
            self.send([[b"unknown" if fresh and retry else session, "tester", [frame], ""]])

    @rule(back=st.integers(1, 100))
    def clock_goes_back(self, back):
        self.clock = max(0, self.clock - back)

    @rule(
        keep_revs=st.sampled_from([None, None, 0, 3, 10]),
        keep_ms=st.sampled_from([None, None, 0, 60]),
        compact=st.one_of(st.none(), revs(40)),
    )
    def retain(self, keep_revs, keep_ms, compact):
        self.send([[None, "operator", [[35, 1, 0, keep_revs, keep_ms, compact]], ""]])

    @rule(budget=st.integers(1, 20))
    def trim(self, budget):
        # Only one of the two: nothing that can be seen may depend on it.
        trim(self.machine.store, budget)

    @rule(block=st.integers(1, 7), based=st.booleans())
    def restart(self, block, based):
        self.machine = restarted(self.machine, block, based)

    # -- reads ----------------------------------------------------------------------------------------

    def readable(self, data):
        return data.draw(st.integers(self.naive.floor, self.naive.rev))

    def ask(self, *message):
        return answer(self.machine.store, [message[0], 1, *message[1:]])

    @rule(data=st.data(), path=PLACES)
    def get_and_stat(self, data, path):
        rev = self.readable(data)
        assert plain(self.ask(10, path, rev)) == plain(self.naive.get(path, rev))
        assert self.ask(11, path, rev) == self.naive.stat(path, rev)
        assert self.machine.store.exists(path, rev) == (self.naive.stat(path, rev)[1] != 0)

    @rule(data=st.data(), path=PLACES, limit=st.integers(0, 3))
    def list_children(self, data, path, limit):
        rev = self.readable(data)
        expected = self.naive.list(path, rev)
        if isinstance(expected, tuple):
            assert plain(self.ask(12, path, rev)) == expected
            return
        rows = self.pages(lambda cursor: self.ask(12, path, rev, 0, cursor, limit, {"values": True}), limit)
        assert rows == expected

    @rule(
        data=st.data(),
        selector=selectors(),
        limit=st.integers(0, 3),
        reverse=st.booleans(),
        keys=st.booleans(),
    )
    def scan(self, data, selector, limit, reverse, keys):
        rev = self.readable(data)
        expected = self.naive.scan(selector, rev)
        assert self.count(selector, rev) == len(expected)
        if keys:
            expected = [[path, (v[0], None, *v[2:])] for path, v in expected]
        options = {"reverse": reverse, "keys": keys}
        rows = self.pages(lambda cursor: self.ask(13, selector, rev, 0, cursor, limit, options), limit)
        assert rows == (expected[::-1] if reverse else expected)

    @rule(data=st.data(), selector=selectors(), limit=st.integers(0, 3), reverse=st.booleans())
    def log(self, data, selector, limit, reverse):
        first = data.draw(st.integers(self.naive.floor + 1, self.naive.rev + 1))
        last = data.draw(st.integers(min(first, self.naive.rev), self.naive.rev))
        expected = self.naive.log(selector, first, last)
        options = {"previous": True, "reverse": reverse}

        def page(cursor):
            low, high = (first, cursor or last) if reverse else (cursor or first, last)
            return self.ask(15, selector, low, high, limit, options)

        rows = self.pages(page, limit)
        assert rows == (expected[::-1] if reverse else expected)

    @rule(data=st.data(), selector=selectors(), limit=st.integers(0, 3))
    def diff(self, data, selector, limit):
        a, b = self.readable(data), self.readable(data)
        rows = self.pages(lambda cursor: self.ask(16, selector, a, b, cursor, limit), limit)
        assert rows == self.naive.diff(selector, a, b)

    @rule(time=st.integers(900, 1400))
    def rev_at(self, time):
        mine, theirs = self.ask(17, time), self.naive.rev_at(time)
        assert mine == theirs or (mine.code == "compacted" and theirs[0] == "compacted")

    @rule(rev=st.integers(0, 80))
    def outside(self, rev):
        if rev < self.naive.floor:
            assert self.ask(10, "/a", rev).code == "compacted"
            assert self.ask(10, "/a", rev).details == {"floor": self.naive.floor, "rev": rev}
        elif rev > self.naive.rev:
            assert self.ask(10, "/a", rev).details == {"rev": self.naive.rev, "asked": rev}

    def pages(self, ask, limit):
        rows, cursor = [], None
        while True:
            _, page, cursor, *_ = ask(cursor)
            assert len(page) <= (limit or 10_000)
            rows += page
            if cursor is None:
                return rows

    def count(self, selector, rev):
        total, cursor = 0, None
        while True:
            at, rows, cursor, more = self.ask(13, selector, rev, 0, cursor, 0, {"count": True})
            assert (at, rows) == (rev, [])
            total += more
            if cursor is None:
                return total

    @invariant()
    def same_numbers(self):
        if hasattr(self, "naive"):
            store = self.machine.store
            assert (store.rev, store.floor) == (self.naive.rev, self.naive.floor)
            assert self.machine.time == self.naive.time

    def teardown(self):
        if not hasattr(self, "naive"):
            return
        store, naive = self.machine.store, self.naive
        for rev in range(naive.floor, naive.rev + 1):
            rows = self.pages(lambda cursor, rev=rev: self.ask(13, [1, "/"], rev, 0, cursor), 0)
            assert rows == naive.scan([1, "/"], rev)
            assert state_hash(store, rev) == state_hash(self.twin.store, rev)
        assert [
            [r, t, a, n, list(map(list, c))] for r, t, a, n, c in store.commits(naive.floor + 1, naive.rev)
        ] == [[r, t, a, n, list(map(list, c))] for r, t, a, n, c in naive.commits[naive.floor + 1 :]]
        assert packed(export_tables(self.machine)) == packed(export_tables(self.twin))


def packed(tables):
    return msgpack.packb(tables)


def restarted(machine, block, based):
    """Take a machine through the rows that storage writes, and msgpack, into a new one.

    `based`: from the state at the floor on; otherwise from as far back as the commits go.
    """
    store, fresh = machine.store, Machine()
    first = 1
    if based or store.cut:
        cursor, first = None, store.floor + 1
        while True:
            rows, cursor = export_base(store, cursor, block)
            import_base(fresh.store, store.floor, store.floor_time, through(rows))
            if cursor is None:
                break
    for rev in range(first, store.rev + 1, block):
        import_commits(fresh.store, through(export_commits(store, rev, min(rev + block - 1, store.rev))))
    import_tables(fresh, through(export_tables(machine)))
    return fresh


def through(rows):
    return msgpack.unpackb(msgpack.packb(rows), strict_map_key=True)


class Cramped(Registry):
    """The same with every size so small that all ways of storing, paging and cutting are taken."""

    SIZES = (
        (sorted_names, "_SMALL", 1),
        (page, "BUDGET", 3),
        (diff, "FEW", 2),
        (trimming, "_MOST", 2),
        (trimming, "_SHARE", 4),
    )

    @initialize()
    def start(self):
        self.before = [getattr(module, name) for module, name, _ in self.SIZES]
        for module, name, size in self.SIZES:
            setattr(module, name, size)
        super().start()

    def teardown(self):
        try:
            super().teardown()
        finally:
            for (module, name, _), size in zip(self.SIZES, getattr(self, "before", ()), strict=False):
                setattr(module, name, size)


TestCramped = Cramped.TestCase
TestCramped.settings = settings(
    max_examples=int(60 * float(os.environ.get("VISOR_SOAK", "1"))), stateful_step_count=50
)
TestRegistry = Registry.TestCase
TestRegistry.settings = settings(
    max_examples=int(150 * float(os.environ.get("VISOR_SOAK", "1"))), stateful_step_count=50
)
