"""The examples of the founding documents (May 2012 and earlier), translated, against a real server.

There: `snapshot, err := visor.Dial(...)`, `visor.Get(snapshot, "/path", codec)`, `file.Update("bob")`. Apps and
their environment variables are files here, laid out as those programs did; the domain's own
classes come on top of this library.
"""

from __future__ import annotations

import threading

import pytest

import visor
from visor import codecs, errors
from visor.testing import Server


def test_every_update_returns_the_file_at_its_new_rev(visor_server: Server) -> None:
    with visor_server.dial(codec=codecs.TEXT) as client:
        client.set("/path", "billy")
        for _ in range(41):
            client.set("/elsewhere", "")
        snapshot = client.snapshot()
        assert snapshot.rev == 42

        file1 = snapshot.get("/path")
        assert (file1.value, file1.rev) == ("billy", 42)
        file2 = file1.update("bob")
        assert (file2.value, file2.rev) == ("bob", 43)
        file3 = file2.update("thornton")
        assert (file3.value, file3.rev) == ("thornton", 44)
        assert (file1.value, file1.rev) == ("billy", 42)


def test_an_old_snapshot_of_an_app_does_not_know_its_new_environment(visor_server: Server) -> None:
    with visor_server.dial(codec=codecs.TEXT) as client:
        client.create("/apps/cat-app/stack", "mystack")
        old = client.snapshot()
        assert old.names("/apps") == ["cat-app"]
        assert old.rev == 1

        app = old.set("/apps/cat-app/env/cow", "moo")
        assert app.rev == 2
        app = client.snapshot(app.rev).set("/apps/cat-app/env/cat", "meow")
        assert app.rev == 3

        with pytest.raises(errors.NotFound) as caught:
            old.get("/apps/cat-app/env/cat")
        assert (caught.value.path, caught.value.rev) == ("/apps/cat-app/env/cat", 1)
        assert client.snapshot(app.rev).get("/apps/cat-app/env/cat").value == "meow"


def test_a_snapshot_sees_a_registered_app_only_after_fast_forward(visor_server: Server) -> None:
    with visor_server.dial(codec=codecs.JSON) as client:
        snapshot = client.snapshot()
        assert snapshot.ls("/") == []

        url = "git://github.bokerqi.top/sc/soundcloud.com"
        snapshot.create("/apps/soundcloud.com/attrs", {"repo-url": url, "stack": "mystack"})
        assert snapshot.ls("/") == []

        snapshot = snapshot.fast_forward(-1)
        assert snapshot.names("/apps") == ["soundcloud.com"]
        assert snapshot.get("/apps/soundcloud.com/attrs").value == {"repo-url": url, "stack": "mystack"}
        assert snapshot.fast_forward(0) is snapshot


def test_one_event_from_the_channel(visor_server: Server) -> None:
    with visor.dial(visor_server.address, "/") as client, client.watch("/**") as events:
        threading.Thread(target=client.set, args=("/apps/a/registered", b"2012-05-31")).start()
        event = next(iter(events))
        assert event.rev == 1
        (change,) = event.changes
        assert (change.kind, change.path, change.value) == ("create", "/apps/a/registered", b"2012-05-31")


def test_a_client_with_a_byte_codec_is_closed_gracefully(visor_server: Server) -> None:
    client = visor.dial(visor_server.address, "/", codec=codecs.BYTES)
    assert client.set("/a", b"1") == 1
    client.close()
    with pytest.raises(errors.ClientClosed):
        client.get("/a")


def test_a_failed_update_leaves_the_old_object_usable(visor_server: Server) -> None:
    with visor_server.dial(codec=codecs.TEXT) as client:
        client.set("/path", "billy")
        mine = client.get("/path")
        theirs = client.get("/path")
        theirs.update("eve")
        with pytest.raises(errors.RevMismatch) as caught:
            mine.update("bob")
        assert (caught.value.path, caught.value.expected, caught.value.actual) == ("/path", 1, 2)
        assert (mine.value, mine.rev) == ("billy", 1)
        newer = mine.fast_forward()
        assert (newer.value, newer.rev) == ("eve", 2)
        assert newer.update("bob").rev == 3


def test_two_writers_from_one_snapshot_conflict_on_one_file_only(visor_server: Server) -> None:
    with visor_server.dial() as client:
        snapshot = client.snapshot()
        snapshot.set("/one", b"1")
        snapshot.set("/two", b"2")
        with pytest.raises(errors.RevMismatch):
            snapshot.set("/one", b"other")


def test_registering_again_through_an_object_that_sees_itself_registered_conflicts(
    visor_server: Server,
) -> None:
    with visor_server.dial() as client:
        before = client.snapshot()
        registered = before.create("/apps/a/registered", b"now")
        seen = client.snapshot()
        with pytest.raises(errors.Exists):
            seen.create("/apps/a/registered", b"again")
        with pytest.raises(errors.NotFound):
            before.delete("/apps/b/registered")
        gone = registered.delete()
        assert gone.rev == 2
        with pytest.raises(errors.RevMismatch):
            seen.create("/apps/a/registered", b"again")
        assert gone.fast_forward(-1).create("/apps/a/registered", b"again").rev == 3
