"""How things show themselves (in words, short, on one line, without secrets) and are pickled (without a client)."""

from __future__ import annotations

import asyncio
import copy
import pickle
from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

import visor
from visor import codecs, errors, guard, op, select
from visor._core.harmless import harmless
from visor._core.shown import several, shown, word
from visor._drivers.environment import gather
from visor.store import Action, Record, by, on
from visor.testing import Server
from visor.values import Kind


@pytest.mark.parametrize(
    ("thing", "text"),
    [
        (guard.missing(), "guard.missing()"),
        (guard.exists(), "guard.exists()"),
        (guard.rev(363), "guard.rev(363)"),
        (guard.since(3), "guard.since(3)"),
        (guard.below(3), "guard.below(3)"),
        (guard.above(3), "guard.above(3)"),
        (guard.value(b"me"), "guard.value(b'me')"),
        (op.set("/a", "text"), "op.set('/a', 'text')"),
        (op.set("/a", None, lease=7), "op.set('/a', None, lease=7)"),
        (op.delete("/a"), "op.delete('/a')"),
        (op.delete("/a", recursive=True), "op.delete('/a', recursive=True)"),
        (op.get("/a"), "op.get('/a')"),
        (op.ls("/"), "op.ls('/')"),
        (select.path("/a"), "select.path('/a')"),
        (select.tree("/a"), "select.tree('/a')"),
        (select.children("/a"), "select.children('/a')"),
        (select.glob("/a/**"), "select.glob('/a/**')"),
        (select.range("/a", "/b"), "select.range('/a', '/b')"),
        (by.all(), "by.all()"),
        (by.id("a"), "by.id('a')"),
        (by.id_prefix("a"), "by.id_prefix('a')"),
        (by.field("service", "web"), "by.field('service', 'web')"),
        (by.prefix("service", "w"), "by.prefix('service', 'w')"),
        (by.above("state", 5), "by.above('state', 5)"),
        (by.below("state", 5), "by.below('state', 5)"),
        (by.custom("k", "v"), "by.custom('k', 'v')"),
        (by.custom_prefix("k", "v"), "by.custom_prefix('k', 'v')"),
        (by.either(by.id("a"), by.id("b")), "by.either(by.id('a'), by.id('b'))"),
    ],
)
def test_what_functions_make_shows_itself_as_they_are_called(thing: object, text: str) -> None:
    assert repr(thing) == text
    assert repr(eval(text, {"guard": guard, "op": op, "select": select, "by": by})) == text


def test_a_specifier_shows_itself_as_it_was_made() -> None:
    assert repr(on()) == "on(None)"
    assert repr(on(Record, by.id("a"), actions=Action.REMOVE)) == "on(Record, by.id('a'), actions=4)"


anything = st.recursive(
    st.none() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=30,
)


@given(anything)
def test_whatever_is_shown_is_short_and_harmless(value: object) -> None:
    for text in (
        shown(value),
        repr(op.set("/a", value)),
        repr(guard.Guard(99, b"")),
        repr(value_guard(value)),
    ):
        assert harmless(text) == text
        assert len(text) < 5000


def value_guard(value: object) -> guard.Guard:
    return guard.value(value if isinstance(value, bytes) else b"")


@given(st.text(max_size=1000))
def test_words_of_others_are_short_and_harmless(text: str) -> None:
    change = visor.Change(Kind.UPDATE, text, [7, text.encode("utf-8", "replace"), 1, 2, 0], None, codecs.TEXT)
    commit = visor.Commit(7, 0, text, text, (change,) * 100)
    difference = visor.Difference(text, None, [7, b"x", 7, 1, 0], codecs.TEXT)
    for thing in (
        change,
        commit,
        difference,
        select.glob(text),
        op.ls(text),
        visor.Result(1, True, (text,) * 99),
    ):
        assert harmless(repr(thing)) == repr(thing)
        assert len(repr(thing)) < 5000


def test_what_is_long_is_cut_and_counted() -> None:
    assert shown(b"x" * 1_000_000) == f"b'{'x' * 40}'... (1000000 bytes)"
    assert shown("x" * 50) == f"'{'x' * 40}'... (50 characters)"
    assert several(iter("abcde"), 5) == "a, b, c, 2 more"
    assert several([], 0) == ""
    assert word("a\x1b[2J\u202e") == "a\\x1b[2J\\u202e"


def test_commits_and_files_say_what_they_hold(visor_server: Server) -> None:
    with visor_server.dial(codec=codecs.TEXT) as client:
        with client.transaction(note="hello") as tx:
            for name in "abcde":
                tx.set(f"/{name}", name * 3)
        file = client.get("/a")
        assert repr(file) == "File(/a = b'aaa' at rev 1, changed at 1)"
        (only,) = client.scan("/a", keys=True)
        assert repr(only) == "File(/a (value not read) at rev 1, changed at 1)"
        (commit,) = client.history()
        said = f"Commit(rev 1 by {commit.actor}: create /a, create /b, create /c, 2 more; 'hello')"
        assert repr(commit) == said
        assert repr(commit.changes[0]) == "Change(create /a = b'aaa' at rev 1)"
        client.delete("/a")
        assert repr(client.history(first=2).__next__().changes[0]) == "Change(delete /a at rev 2)"
        client.set("/b", "new")
        assert [repr(each) for each in client.diff(1, 3)] == [
            "Difference(delete /a: b'aaa' -> nothing)",
            "Difference(update /b: b'bbb' -> b'new')",
        ]
        result = client.txn(then=[op.get("/c"), op.get("/none"), op.ls("/"), op.get("/d")])
        assert repr(result).startswith(
            "Result(rev 3, succeeded, [File(/c = b'ccc' at rev 3, changed at 1), None, "
        )
        assert repr(result).endswith("1 more])")
        assert repr(client.txn({"/c": guard.missing()})) == "Result(rev 3, a guard did not hold, [])"


def test_what_lives_says_how_it_stands(visor_server: Server) -> None:
    with visor_server.dial() as client, client.session(30) as session:
        assert repr(session).startswith(f"<visor session {session.id}, connected, ")
        assert repr(client.lease(30)).startswith("<visor lease ")
        party = session.party("/workers")
        assert repr(party) == "<visor party /workers, not joined>"
        with party:
            assert repr(party) == "<visor party /workers, joined>"
        with client.transaction() as tx:
            assert repr(tx) == "<visor transaction, has read nothing, 0 writes>"
            tx.exists("/a")
            tx.set("/a", b"")
            assert repr(tx) == f"<visor transaction, reads at rev {client.rev()}, 1 writes>"
        assert repr(tx) == f"<visor transaction, committed at rev {client.rev()}>"
        assert repr(client.admin) == f"<visor admin of {client!r}>"
        with client.on_change("/**", lambda commit: None) as subscription:
            assert repr(subscription).startswith("<visor subscription, called back up to rev ")
        assert repr(visor.registry.Registry(client).snapshot()) == f"<the domain at rev {client.rev()}>"


def test_a_token_is_shown_nowhere() -> None:
    settings = gather("unix:/run/v.sock", "/", None, "me", "s3cret", None, None, {})
    assert settings.token == "s3cret"
    assert "s3cret" not in repr(settings) + str(settings) + repr(visor.Client(settings, codecs.BYTES))


def test_files_snapshots_and_results_are_pickled_without_their_client(visor_server: Server) -> None:
    with visor_server.dial("/root", codec=codecs.JSON) as client:
        client.set("/a", {"one": [1, 2]})
        snapshot = client.snapshot()
        file = snapshot.get("/a")
        result = client.txn(then=[op.get("/a"), op.ls("/"), op.get("/b")])
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            kept = pickle.loads(pickle.dumps((snapshot, file, result), protocol))
            detached(*kept, file)
        detached(snapshot.detached(), file.detached(), result.detached(), file)
        assert pickle.loads(pickle.dumps(list(client.history())))[0].changes[0].value == {"one": [1, 2]}
        again = client.snapshot(kept[0].rev).get(
            kept[1].path
        )  # what detached objects know leads back to live ones
        assert again.update({"one": []}).rev == 2


def detached(snapshot: object, file: object, result: object, live: object) -> None:
    """Check what came out of a pickle, or of `detached`."""
    assert isinstance(snapshot, visor.Snapshot)
    assert isinstance(file, visor.File)
    assert isinstance(result, visor.Result)
    assert (snapshot.rev, file.rev, result.rev) == (1, 1, 1)
    assert file == live
    assert (file.path, file.mod_rev, file.created, file.count, file.lease) == ("/a", 1, 1, 1, 0)
    assert file.value == {"one": [1, 2]}
    assert (result.file(0), result.listing(1), result.file(2)) == (file, [("a", visor.Node.FILE)], None)
    assert repr(file).endswith(", detached)")
    assert repr(snapshot) == "Snapshot(rev 1, detached)"
    assert file.fast_forward(1) is file
    for call in (
        lambda: file.update({}),
        lambda: result.file(0).update({}),
        lambda: snapshot.get("/a"),
        lambda: snapshot.get("/a", codec=codecs.TEXT),
        lambda: list(snapshot.scan()),
    ):
        with pytest.raises(errors.Detached, match="ask a client for it anew"):
            call()


def test_every_method_of_a_detached_object_either_answers_or_says_that_it_has_no_client() -> None:
    """Calls of all public methods, whatever they are: none may fail in another way than by its arguments."""
    from visor._core.handles import NO_CLIENT

    file: visor.File[bytes] = visor.File(NO_CLIENT, "/a", 5, [3, b"x", 1, 2, 0], codecs.BYTES)
    snapshot: visor.Snapshot[bytes] = visor.Snapshot(NO_CLIENT, 5)
    arguments = {"update": (b"",), "get": ("/a",), "set": ("/a", b""), "create": ("/a", b"")}
    arguments |= dict.fromkeys(("stat", "exists", "delete"), ("/a",))
    asked = []
    for thing in (file, snapshot):
        for name in dir(thing):
            if name.startswith("_") or name == "detached" or not callable(member := getattr(thing, name)):
                continue
            given = () if (thing is file and name == "delete") else arguments.get(name, ())
            with pytest.raises(errors.Detached):
                list(found) if hasattr(found := member(*given), "__next__") else None
            asked.append(name)
    assert len(asked) > 12


def test_copies_of_what_cannot_change_are_the_same(visor_server: Server) -> None:
    with visor_server.dial() as client:
        client.set("/a", b"1")
        snapshot = client.snapshot()
        file = snapshot.get("/a")
        assert copy.copy(file) is copy.deepcopy(file) is file
        assert copy.copy(snapshot) is copy.deepcopy(snapshot) is snapshot
        result = client.txn(then=[op.get("/a")])
        assert copy.deepcopy(result).file(0) is result.file(0)  # and it is not detached by that
        assert asdict(result)["results"][0].update(b"2").rev == 2


def test_what_a_transaction_read_is_taken_by_its_position(visor_server: Server) -> None:
    with visor_server.dial() as client:
        client.set("/d/a", b"1")
        result = client.txn(then=[op.get("/d/a"), op.ls("/d")])
        assert [found.value for found in [result.file()] if found is not None] == [b"1"]
        assert result.listing(1) == [("a", visor.Node.FILE)]
        with pytest.raises(TypeError, match=r"operation 1 listed a directory: see listing\(1\)"):
            result.file(1)
        with pytest.raises(TypeError, match="operation 0 listed nothing"):
            result.listing(0)
        with pytest.raises(IndexError):
            result.file(2)


def test_a_node_tells_of_itself_in_fields(visor_server: Server) -> None:
    with visor_server.dial() as client:
        client.set("/a", b"1")
        status = client.status()
        assert (status.rev, status.files, status.floor, status.watches) == (1, 1, status.told["floor"], 0)
        assert status.node == status.leader == status.members[0].name
        assert status.members[0].id == status.member
        assert status.cluster == client.cluster
        assert status.server.startswith("visord/")
        assert status.alarms == status.format_waits_for == ()
        assert status.checkpoint.failure is None
        assert set(status.told) <= {*type(status).__dataclass_fields__}
        assert pickle.loads(pickle.dumps(status)) == status


def test_the_asyncio_side_looks_and_is_pickled_alike(visor_server: Server) -> None:
    async def main() -> None:
        async with visor.aio.dial(visor_server.address, codec=codecs.TEXT) as client:
            await client.set("/a", "one")
            file = await client.get("/a")
            assert repr(file) == "File(/a = b'one' at rev 1, changed at 1)"
            kept = pickle.loads(pickle.dumps(file))
            assert (kept, kept.value) == (file, "one")
            with pytest.raises(errors.Detached):
                await kept.update("two")
            with pytest.raises(errors.Detached):
                [one async for one in (await client.snapshot()).detached().scan()]
            assert (await client.status()).rev == 1

    asyncio.run(main())
