"""Announcing and finding services: leases, probes, locators, and waiting."""

from __future__ import annotations

import asyncio
import http.server
import socket
import threading
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import pytest

import visor
import visor.aio.views
from tests.client.proxy import Proxy
from tests.following.clients import cut_off, dial
from tests.following.test_views_core import Feature
from tests.lease_time import LeaseTime
from tests.patience import LONG_TTL, PATIENCE, eventually
from visor import codecs, errors
from visor._drivers.blocking.probing import Prober
from visor.following import Stopped
from visor.testing import Server
from visor.views import (
    Endpoint,
    HashRange,
    Health,
    Partition,
    Registry,
    RegistryLocator,
    Reported,
    StaticLocator,
    announce,
    get_nonempty,
    grpc_health,
    locator,
    tcp,
)
from visor.views import (
    http as http_probe,
)


@contextmanager
def registry_of(client: visor.Client[Any], **options: Any) -> Iterator[Registry]:
    with Registry(RegistryLocator(client, confirm=0.05), features=Feature, **options) as registry:
        yield registry


def ids(registry: Registry) -> list[str]:
    return [view.id for view in registry.all_views()]


class TestAnnouncing:
    def test_who_announces_is_found_with_all_it_says(self, visor_server: Server) -> None:
        with (
            dial(visor_server.address) as service,
            dial(visor_server.address) as client,
            registry_of(client) as registry,
        ):
            assert registry.all_views() == []
            before = registry.last_changed
            partition = Partition("sp", HashRange(0, 99))
            with announce(
                service,
                "10.0.0.7",
                9980,
                features=Feature.HASH_SP,
                partition=partition,
                annotations={"zone": "eu"},
            ) as announcement:
                assert announcement.held
                changed = registry.wait_for_change(before, timeout=PATIENCE)
                (view,) = registry.healthy_views(Feature.HASH_SP)
                assert (view.id, view.partition, view.annotations) == (
                    "10.0.0.7:9980",
                    partition,
                    {"zone": "eu"},
                )
                assert view.features is Feature.HASH_SP
                assert view.health is Health.HEALTHY
                announcement.update(features=Feature.HASH_PO, annotations={"zone": "us"})
                changed = registry.wait_for_change(changed, timeout=PATIENCE)
                assert registry.healthy_views(Feature.HASH_SP) == []
                (newer,) = registry.healthy_views(Feature.HASH_PO)
                assert (newer.partition, newer.annotations) == (partition, {"zone": "us"})
                assert view.features is Feature.HASH_SP  # a view that was taken stays what it was
            registry.wait_for_change(changed, timeout=PATIENCE)
            assert registry.all_views() == []
            with pytest.raises(errors.VisorError):
                announcement.update(features=Feature.CAROUSEL)

    def test_who_dies_goes_with_its_lease(self, visor_server: Server) -> None:
        with dial(visor_server.address) as client, registry_of(client) as registry:
            service = dial(visor_server.address)
            announcement = announce(service, "h", 1, ttl=1.0).start()
            eventually(lambda: ids(registry) == ["h:1"])
            service._driver.close()  # no good-bye: nobody keeps the lease alive any more
            eventually(lambda: ids(registry) == [])
            announcement.close()

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

    def test_an_announcement_that_is_none_is_told_and_never_healthy(self, visor_server: Server) -> None:
        with dial(visor_server.address) as client, registry_of(client) as registry:
            client.set("/views/odd:1", "{}")
            eventually(lambda: ids(registry) == ["odd:1"])
            assert registry.healthy_views() == []
            assert "odd:1  unhealthy" in registry.dump()
            client.set(
                "/views/odd:1",
                '{"format":1,"network":"tcp","host":"odd","port":1,"features":8,'
                '"partition":null,"annotations":{}}',
            )
            eventually(lambda: len(registry.healthy_views(Feature.HASH_SP)) == 1)

    def test_an_address_that_cannot_be_a_path_is_announced_too(self, visor_server: Server) -> None:
        with (
            dial(visor_server.address) as client,
            registry_of(client) as registry,
            announce(client, "fe80::1%eth0", 80) as announcement,
        ):
            assert announcement.path == "/views/%5bfe80::1%25eth0%5d:80"
            eventually(lambda: ids(registry) == ["[fe80::1%eth0]:80"])


class TestWaiting:
    def test_stable_means_that_nothing_changed_and_the_registry_says_so(
        self, visor_server: Server, proxy: Proxy
    ) -> None:
        with (
            dial(proxy.address) as client,
            dial(visor_server.address) as service,
            registry_of(client) as registry,
        ):
            registry.wait_for_stable(0.1, timeout=PATIENCE)
            with pytest.raises(errors.DeadlineExceeded):
                registry.wait_for_stable(60.0, timeout=0)
            with cut_off(proxy):
                time.sleep(0.05)
                # Nothing was heard for long, but that is no proof.
                with pytest.raises(errors.DeadlineExceeded):
                    registry.wait_for_stable(0.02, timeout=0.2)
                announcement = announce(service, "h", 1).start()
            registry.wait_for_stable(0.1, timeout=PATIENCE)
            assert ids(registry) == ["h:1"]
            announcement.close()

    def test_stable_waits_out_every_change(self) -> None:
        source = StaticLocator([])
        now = [0.0]
        with Registry(source, clock=lambda: now[0]) as registry:
            stable = threading.Event()

            def wait() -> None:
                registry.wait_for_stable(0.2)
                stable.set()

            thread = threading.Thread(target=wait)
            thread.start()
            for number in range(8):
                now[0] += 0.19
                source.set([Endpoint("h", number + 1)])
                eventually(lambda number=number: ids(registry) == [f"h:{number + 1}"])
                assert not stable.wait(0.01)
            now[0] += 0.19
            assert not stable.wait(0.3)  # nothing changes, but for too short a time
            now[0] += 0.02
            assert stable.wait(PATIENCE)
            thread.join()
            registry.wait_for_stable(0.2, timeout=0)  # no waiting is needed, so no time is

    def test_changes_and_the_end(self) -> None:
        source = StaticLocator()
        registry = Registry(source).start()
        before = registry.last_changed
        with pytest.raises(errors.DeadlineExceeded):
            registry.wait_for_change(before, timeout=0.01)
        source.set([Endpoint("h", 1)])
        changed = registry.wait_for_change(before, timeout=PATIENCE)
        assert (
            registry.wait_for_change(before, timeout=0) == changed
        )  # at once: something changed after `before`
        timer = threading.Timer(0.05, registry.close)
        timer.start()
        last = registry.wait_for_change(changed, timeout=PATIENCE)
        timer.join()
        assert last > changed
        assert registry.all_views() == []
        with pytest.raises(Stopped):
            registry.wait_for_change(last, timeout=PATIENCE)
        with pytest.raises(Stopped):
            registry.wait_for_stable(0.01)
        registry.close()
        assert registry.last_changed == last

    def test_the_end_of_the_client_ends_the_registry(self, visor_server: Server) -> None:
        with dial(visor_server.address) as client:
            registry = Registry(RegistryLocator(client)).start()
            client.set("/views/x", "{}")
            eventually(lambda: len(registry.all_views()) == 1)
        eventually(lambda: registry.all_views() == [])
        registry.close()


class TestProbes:
    def test_health_follows_the_last_probe(self) -> None:
        well = threading.Event()
        asked: list[str] = []

        def probe(endpoint: Endpoint, timeout: float) -> None:
            asked.append(endpoint.id)
            if not well.is_set():
                raise ConnectionError("not yet")

        source = StaticLocator([Endpoint("a", 1)])
        with Registry(source, probe=probe, period=0.02, patience=PATIENCE) as registry:
            eventually(lambda: registry.summary().unhealthy == 1)
            assert registry.all_views()[0].problem == "ConnectionError: not yet"
            well.set()
            eventually(lambda: registry.summary().healthy == 1)
            assert registry.all_views()[0].problem == ""
            changes = registry.metrics.changes
            count = len(asked)
            eventually(lambda: len(asked) > count + 5)
            assert registry.metrics.changes == changes  # a probe that says the same changes nothing
            assert registry.metrics.failed_probes > 0
        count = len(asked)
        time.sleep(0.05)
        assert len(asked) <= count + 1

    def test_who_comes_is_probed_at_once_and_who_goes_no_more(self) -> None:
        asked: list[str] = []
        source = StaticLocator([])
        with Registry(source, probe=lambda endpoint, _: asked.append(endpoint.id), period=60) as registry:
            source.set([Endpoint("a", 1), Endpoint("b", 1)])
            eventually(lambda: registry.summary().healthy == 2)
            source.set([Endpoint("b", 1)])
            eventually(lambda: ids(registry) == ["b:1"])
            source.set([Endpoint("b", 1), Endpoint("a", 1)])
            eventually(lambda: len(asked) == 3 and registry.summary().healthy == 2)
            assert sorted(asked) == ["a:1", "a:1", "b:1"]

    def test_what_a_probe_reports_counts_before_what_is_announced(self) -> None:
        def probe(endpoint: Endpoint, timeout: float) -> Reported:
            return Reported(Feature.HASH_PO, Partition("po"))

        with Registry(StaticLocator([Endpoint("a", 1)]), features=Feature, probe=probe) as registry:
            eventually(lambda: registry.healthy_views(Feature.HASH_PO) != [])
            registry.force_features("a:1", Feature.CAROUSEL)
            assert registry.healthy_views(Feature.HASH_PO) == []
            assert [view.id for view in registry.healthy_views(Feature.CAROUSEL)] == ["a:1"]
            registry.force_features("a:1", None)
            assert len(registry.holding("po", 5, Feature.HASH_PO)) == 1
            assert registry.holding("po", 5, Feature.CAROUSEL) == []

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

    def test_tcp(self) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            port = listener.getsockname()[1]
            source = StaticLocator([Endpoint("127.0.0.1", port)])
            with Registry(source, probe=tcp(), period=0.02, patience=PATIENCE) as registry:
                eventually(lambda: registry.summary().healthy == 1)
                listener.close()
                eventually(lambda: registry.summary().unhealthy == 1)
                assert "Refused" in registry.all_views()[0].problem

    def test_http(self) -> None:
        pytest.importorskip("httpx")
        status = [200]

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(status[0] if self.path == "/health" else 404)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            try:
                endpoint = Endpoint("127.0.0.1", server.server_address[1])
                probe = http_probe("/health")
                with Registry(
                    StaticLocator([endpoint]), probe=probe, period=0.05, patience=PATIENCE
                ) as registry:
                    eventually(lambda: registry.summary().healthy == 1)
                    status[0] = 503
                    eventually(lambda: registry.summary().unhealthy == 1)
                    assert registry.all_views()[0].problem.endswith("GET /health was answered with 503")
                http_probe("/other", accept=lambda code: code == 404)(endpoint, PATIENCE)
            finally:
                server.shutdown()
                thread.join()

    def test_grpc_health(self) -> None:
        grpc = pytest.importorskip("grpc")
        health = pytest.importorskip("grpc_health.v1.health")
        from concurrent import futures

        from grpc_health.v1 import health_pb2, health_pb2_grpc

        server = grpc.server(futures.ThreadPoolExecutor(2))
        servicer = health.HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
        port = server.add_insecure_port("127.0.0.1:0")
        servicer.set("db", health_pb2.HealthCheckResponse.SERVING)
        server.start()
        try:
            source = StaticLocator([Endpoint("127.0.0.1", port)])
            with Registry(source, probe=grpc_health("db"), period=0.05, patience=PATIENCE) as registry:
                eventually(lambda: registry.summary().healthy == 1)
                servicer.set("db", health_pb2.HealthCheckResponse.NOT_SERVING)
                eventually(lambda: registry.summary().unhealthy == 1)
                assert registry.all_views()[0].problem.endswith("the health of db is NOT_SERVING")
        finally:
            server.stop(None).wait()


class TestLocators:
    def test_static(self) -> None:
        source = StaticLocator()
        assert (source.cached().version, str(source)) == (0, "static: nobody")
        with pytest.raises(errors.DeadlineExceeded):
            source.wait_for_update(0, timeout=0.01)
        timer = threading.Timer(0.02, lambda: (source.set([]), source.set([Endpoint("a", 1)])))
        timer.start()
        assert get_nonempty(source, timeout=PATIENCE).endpoints == (Endpoint("a", 1),)
        timer.join()
        assert (source.cached().version, str(source)) == (2, "static: tcp://a:1")
        assert StaticLocator([]).cached().version == 1
        timer = threading.Timer(0.02, source.close)
        timer.start()
        with pytest.raises(Stopped):
            source.wait_for_update(2, timeout=PATIENCE)
        timer.join()

    def test_registry(self, visor_server: Server) -> None:
        with dial(visor_server.address) as client, RegistryLocator(client) as source:
            assert source.cached().version == 1
            with announce(client, "a", 1), announce(client, "b", None):
                found = get_nonempty(source, timeout=PATIENCE)
                while len(found.endpoints) < 2:
                    found = source.wait_for_update(found.version, timeout=PATIENCE)
                assert [endpoint.id for endpoint in found.endpoints] == ["a:1", "b"]
                assert str(source) == "announced below /views: tcp://a:1, tcp://b"
                assert source.staleness.connected
                client.set("/elsewhere", "x")
                with pytest.raises(errors.DeadlineExceeded):
                    source.wait_for_update(found.version, timeout=0.05)

    def test_from_a_configuration(self, visor_client: visor.Client[bytes]) -> None:
        static = locator({"type": "static", "endpoints": ["a:1", "[::1]:2"]})
        assert [endpoint.id for endpoint in static.cached().endpoints] == ["a:1", "[::1]:2"]
        assert isinstance(locator({"type": "registry", "path": "/x"}, visor_client), RegistryLocator)
        for config in ({"type": "kube"}, {}, {"type": "registry"}, {"type": "static", "endpoints": ["a"]}):
            with pytest.raises(ValueError, match="is"):
                locator(config)


def test_picking_by_coverage(visor_server: Server) -> None:
    half = 2**63
    with dial(visor_server.address) as client, registry_of(client) as registry:
        announcements = [
            announce(
                client,
                f"h{number}",
                1,
                features=Feature.HASH_SP,
                partition=Partition("sp", HashRange(half * (number % 2), half * (number % 2) + half - 1)),
            ).start()
            for number in range(4)
        ]
        eventually(lambda: registry.summary().healthy == 4)
        one, two = registry.covering("sp", Feature.HASH_SP, count=2)
        assert sorted(view.id for view in one + two) == ["h0:1", "h1:1", "h2:1", "h3:1"]
        assert [view.partition.range.first for view in one if view.partition] == [0, half]
        assert sorted(view.id for view in registry.holding("sp", half + 5)) == ["h1:1", "h3:1"]
        announcements[1].close()
        announcements[3].close()
        eventually(lambda: registry.summary().views == 2)
        assert registry.covering("sp") == []
        for announcement in announcements:
            announcement.close()


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
