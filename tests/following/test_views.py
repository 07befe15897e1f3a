"""Views: leases, probes that never end, configured locators. What holds in both colours is in `tests.aio`."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest

import visor
import visor.aio.views
from tests.following.clients import dial
from tests.following.test_views_core import Feature
from tests.lease_time import LeaseTime
from tests.patience import LONG_TTL, PATIENCE, eventually
from visor import codecs
from visor._drivers.blocking.probing import Prober
from visor.testing import Server
from visor.views import (
    Endpoint,
    Registry,
    RegistryLocator,
    StaticLocator,
    announce,
    locator,
)


@contextmanager
def registry_of(client: visor.Client[Any], **options: Any) -> Iterator[Registry]:
    with Registry(RegistryLocator(client, confirm=0.05), features=Feature, **options) as registry:
        yield registry


def ids(registry: Registry) -> list[str]:
    return [view.id for view in registry.all_views()]


class TestAnnouncing:
    def test_a_lost_lease_is_followed_by_another_announcement(self, visor_server: Server) -> None:
        with (
            dial(visor_server.address) as client,
            registry_of(client) as registry,
            LeaseTime(visor_server) as lease_time,
            dial(visor_server.address, clock=lease_time.clock) as service,
        ):
            lease_time.follow(service)
            with announce(service, "h", 1, ttl=LONG_TTL) as announcement:
                eventually(lambda: ids(registry) == ["h:1"])
                lease = announcement._lease
                assert lease is not None
                before = registry.metrics.additions
                client.revoke(lease.id)
                lease_time.turn(LONG_TTL / 3)
                lease_time.until(lambda: registry.metrics.additions > before)
                eventually(lambda: ids(registry) == ["h:1"])
                assert announcement.error is None
            eventually(lambda: ids(registry) == [])


class TestProbes:
    def test_a_probe_that_never_ends_is_no_health_and_holds_nobody_up(self) -> None:
        go = threading.Event()

        def probe(endpoint: Endpoint, timeout: float) -> None:
            if endpoint.host == "stuck":
                go.wait(PATIENCE)

        def problem(id: str) -> str:
            view = registry.view(id)
            return view.problem if view is not None else "gone"

        source = StaticLocator([Endpoint("stuck", 1), Endpoint("well", 1)])
        with Registry(source, probe=probe, period=0.02, patience=0.1) as registry:
            try:
                eventually(lambda: problem("stuck:1") == "the probe has not ended within 0.2 s")
                eventually(lambda: [view.id for view in registry.healthy_views()] == ["well:1"])
            finally:
                go.set()
            eventually(lambda: registry.summary().healthy == 2)

    def test_whoever_takes_a_probe_that_never_ends_is_not_counted_on_for_the_next(self) -> None:
        """A thread that had taken one, and had not said so yet, counted as idle: the next waited behind it."""
        go = threading.Event()
        ended: list[str] = []

        def dawdle(frame: FrameType, event: str, arg: object) -> object:
            """Let whoever submits get on between any two lines of who takes."""
            time.sleep(0.01)
            return dawdle

        def probe(endpoint: Endpoint, timeout: float) -> None:
            if endpoint.host == "stuck":
                go.wait(PATIENCE)

        prober = Prober(probe, 1, lambda id, *_: ended.append(id))
        threading.settrace(dawdle)
        try:
            prober.submit("first", 1, Endpoint("first", 1))
            eventually(lambda: ended == ["first"] and prober._idle == 1)
            prober.submit("stuck", 1, Endpoint("stuck", 1))
            eventually(lambda: not prober._jobs)
            prober.submit("well", 1, Endpoint("well", 1))
            eventually(lambda: ended == ["first", "well"])
        finally:
            threading.settrace(None)
            prober.close()
            go.set()


class TestLocators:
    def test_from_a_configuration(self, visor_client: visor.Client[bytes]) -> None:
        static = locator({"type": "static", "endpoints": ["a:1", "[::1]:2"]})
        assert [endpoint.id for endpoint in static.cached().endpoints] == ["a:1", "[::1]:2"]
        assert isinstance(locator({"type": "registry", "path": "/x"}, visor_client), RegistryLocator)
        for config in ({"type": "kube"}, {}, {"type": "registry"}, {"type": "static", "endpoints": ["a"]}):
            with pytest.raises(ValueError, match="is"):
                locator(config)


def test_the_same_under_asyncio(visor_server: Server, run: Callable[[Coroutine[Any, Any, Any]], Any]) -> None:
    views = visor.aio.views

    async def stuck(endpoint: Endpoint, seconds: float) -> None:
        await asyncio.sleep(60)

    async def main() -> None:
        host, _, port = visor_server.address.rpartition(":")
        async with visor_server.dial_async(codec=codecs.TEXT) as client:
            source = views.RegistryLocator(client, confirm=0.05)
            probed = {"probe": views.tcp(), "period": 0.05, "patience": 1.0}
            async with views.Registry(source, features=Feature, **probed) as registry:
                before = registry.last_changed
                async with (
                    views.announce(client, host, int(port), features=Feature.HASH_SP),
                    views.announce(client, host, 1),
                ):
                    while registry.summary().unhealthy < 1 or registry.summary().healthy < 1:
                        before = await registry.wait_for_change(before, timeout=PATIENCE)
                    healthy = registry.healthy_views(Feature.HASH_SP)
                    assert [view.id for view in healthy] == [visor_server.address]
                await registry.wait_for_stable(0.05, timeout=PATIENCE)
                assert registry.all_views() == []
        told = views.StaticLocator([Endpoint("a", 1)])
        assert (await views.get_nonempty(told)).version == 1
        async with views.Registry(told, probe=stuck, period=0.05, patience=0.05) as other:
            await other.wait_for_change(other.last_changed, timeout=PATIENCE)
            assert other.all_views()[0].problem == "no answer within 0.05 s"

    run(main())
