"""What is announced for the life of a process comes back by itself, and what nobody could use is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

import visor
import visor.aio.views
from tests.patience import PATIENCE, eventually
from visor import errors
from visor._core.views.endpoint import Endpoint, decode, encode, wrong
from visor.testing import Server
from visor.views import Announcement, Partition, Registry, StaticLocator, announce, grpc_health, http, tcp


def notice(announcement: Announcement) -> None:
    """Look after the lease of the announcement now, as happens three times in a time to live."""
    assert announcement._lease is not None
    announcement._lease._look_after(20.0)


class TestComingBack:
    @pytest.mark.parametrize("way", ["deleted", "detached", "directory"])
    def test_after_somebody_took_it_away(self, way: str, visor_client: visor.Client[bytes]) -> None:
        client = visor_client
        with announce(client, "10.0.0.1", 80, ttl=30) as mine:
            if way != "detached":
                client.delete(mine.path)
            if way == "detached":
                client.set(mine.path, b"rubbish")
            if way == "directory":
                client.set(f"{mine.path}/in/the/way", b"")
            notice(mine)
            if way == "directory":
                assert not mine.held
                client.delete(mine.path, recursive=True)
            eventually(lambda: mine.held)
            file = client.get(mine.path)
            assert decode(file.data) == mine.endpoint
            assert mine._lease is not None
            assert file.lease == mine._lease.id
            assert mine.error is None
        assert not client.exists(mine.path)

    def test_after_a_second_copy_came_and_went(self, visor_client: visor.Client[bytes]) -> None:
        client = visor_client
        with announce(client, "10.0.0.1", 80, ttl=30) as mine:
            with announce(client, "10.0.0.1", 80, ttl=30):
                pass
            assert not client.exists(mine.path)
            notice(mine)
            eventually(lambda: mine.held and client.exists(mine.path))

    def test_the_later_of_two_copies_has_it_until_it_goes(self, visor_client: visor.Client[bytes]) -> None:
        client = visor_client
        with announce(client, "10.0.0.1", 80, features=1, ttl=30) as mine:
            later = announce(client, "10.0.0.1", 80, features=2, ttl=30).start()
            for _ in range(3):
                notice(mine)
                notice(later)
                mine._come_back(over=False)
            assert (mine.held, later.held) == (False, True)
            mine.update(features=4)
            rev = client.get(mine.path).mod_rev
            assert decode(client.get(mine.path).data).features == 2
            mine._come_back(over=False)
            assert client.get(mine.path).mod_rev == rev, "they do not fight"
            later.close()
            eventually(lambda: mine.held)
            assert decode(client.get(mine.path).data).features == 4

    def test_a_lost_lease_takes_nothing_from_another_copy(self, visor_client: visor.Client[bytes]) -> None:
        client = visor_client
        with announce(client, "10.0.0.1", 80, features=1, ttl=30) as mine:
            with announce(client, "10.0.0.1", 80, features=2, ttl=30) as later:
                former = mine._lease
                assert former is not None
                former.revoke()
                eventually(lambda: mine._lease is not former)
                assert not mine.held
                assert later.held
                notice(later)
                assert later.held
            eventually(lambda: mine.held)

    def test_a_write_whose_outcome_is_unknown_is_looked_into(self, visor_client: visor.Client[bytes]) -> None:
        with announce(visor_client, "10.0.0.1", 80, features=1, ttl=30) as mine:
            mine._rev = 0  # as after a WriteTimeout: it was written
            eventually(lambda: mine.held)
            rev = visor_client.get(mine.path).mod_rev
            assert mine._rev == rev
            visor_client.set(mine.path, encode(mine.endpoint), lease=mine._lease)
            mine.update(features=3)  # the rev that was known is not that of the file any more
            assert decode(visor_client.get(mine.path).data).features == 3
            assert mine.held

    def test_a_refused_update_changes_nothing(self, visor_client: visor.Client[bytes]) -> None:
        with announce(visor_client, "10.0.0.1", 80, features=1, ttl=30) as mine:
            before = mine.endpoint
            with pytest.raises(errors.TooLarge):
                mine.update(annotations={"much": "x" * (2 << 20)})
            for change in ({"features": -1}, {"annotations": {"a": 5}}, {"partition": "p"}):
                with pytest.raises((ValueError, TypeError)):
                    mine.update(**change)  # type: ignore[arg-type]
            assert mine.endpoint == before
            assert mine.held
            assert decode(visor_client.get(mine.path).data) == before

    def test_one_that_is_closed_while_it_comes_back_stays_away(
        self, visor_client: visor.Client[bytes]
    ) -> None:
        mine = announce(visor_client, "10.0.0.1", 80, ttl=30).start()
        mine.close()
        with pytest.raises(visor.following.Stopped):
            mine._make(None, take=False)
        mine._come_back(over=False)
        assert not visor_client.exists(mine.path)
        assert list(visor_client.leases()) == []

    def test_the_same_awaited(self, visor_server: Server) -> None:
        async def main() -> None:
            async with (
                visor.aio.dial(visor_server.address) as client,
                visor.aio.views.announce(client, "10.0.0.1", 80, ttl=30) as mine,
                await client.watch(mine.path) as watch,
            ):
                await client.delete(mine.path)
                assert mine._lease is not None
                await mine._lease._look_after(20.0)
                kinds = [(await watch.next(timeout=PATIENCE)).changes[0].kind for _ in range(2)]
                assert kinds == [visor.Kind.DELETE, visor.Kind.CREATE]

        asyncio.run(main())


BAD: list[dict[str, Any]] = [
    {"host": "bad host"},
    {"host": ""},
    {"host": "a/b"},
    {"host": "user@host"},
    {"host": "a\nb"},
    {"host": "1:2:3"},
    {"host": 5},
    {"port": 70000},
    {"port": 0},
    {"port": -1},
    {"port": 80.0},
    {"port": "80"},
    {"port": True},
    {"features": -1},
    {"features": 1.5},
    {"partition": "p"},
    {"annotations": {"a": 1}},
    {"network": ""},
]


class TestRefusals:
    @pytest.mark.parametrize("change", BAD, ids=repr)
    def test_what_no_reader_could_use_is_refused_when_it_is_announced(
        self, change: dict[str, Any], visor_client: visor.Client[bytes]
    ) -> None:
        with pytest.raises((ValueError, TypeError)) as caught:
            announce(visor_client, **{"host": "h", "port": 80, **change})
        value = next(iter(change.values()))
        assert repr(value) in str(caught.value) or change == {"annotations": {"a": 1}} or value == 1.5

    @pytest.mark.parametrize(
        "endpoint",
        [
            Endpoint("h", None),
            Endpoint("10.0.0.1", 65535),
            Endpoint("::1", 1),
            Endpoint("fe80::1%eth0", 80),
            Endpoint(
                "my_host-1.example.com", 80, features=7, partition=Partition("p"), annotations={"a": "b"}
            ),
            Endpoint("bücher.example", 80),
            Endpoint("/run/x.sock", None, "unix"),
        ],
        ids=str,
    )
    def test_what_can_be_used_is_read_as_it_was_announced(self, endpoint: Endpoint) -> None:
        assert wrong(endpoint) is None
        assert decode(encode(endpoint)) == endpoint


def probe_of_one(endpoint: Endpoint) -> None: ...


def probe_of_three(endpoint: Endpoint, timeout: float, more: int) -> None: ...


async def awaited(endpoint: Endpoint, timeout: float) -> None: ...  # noqa: ASYNC109


class TestProbes:
    @pytest.mark.parametrize(
        "probe", [tcp, http, grpc_health, probe_of_one, probe_of_three, 5, "tcp", lambda: None]
    )
    def test_one_of_another_shape_is_refused_when_it_is_given(self, probe: Any) -> None:
        for make in (Registry, visor.aio.views.Registry):
            with pytest.raises(TypeError, match=r"called with \(endpoint, timeout\)"):
                make(StaticLocator([]), probe=probe)

    @pytest.mark.parametrize("maker", [tcp, http, grpc_health])
    def test_what_makes_one_is_recognised(self, maker: Callable[..., Any]) -> None:
        with pytest.raises(TypeError, match=rf"did you mean probe={maker.__name__}\(\)\?"):
            Registry(StaticLocator([]), probe=maker)

    def test_one_that_is_awaited_belongs_under_asyncio(self) -> None:
        with pytest.raises(TypeError, match=r"visor\.aio\.views"):
            Registry(StaticLocator([]), probe=awaited)  # type: ignore[arg-type]
        visor.aio.views.Registry(visor.aio.views.StaticLocator([]), probe=awaited)  # type: ignore[arg-type]

    def test_others_are_taken(self) -> None:
        for probe in (tcp(), lambda endpoint, timeout, *more: None, lambda *both: None):
            Registry(StaticLocator([]), probe=probe)
