# Generated from tests/aio/following/test_views.py: do not edit it here, edit that and run `python .ci/unasync.py`.
"""Announcing and finding services: leases, probes, locators, and waiting."""

from __future__ import annotations

import http.server
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import visor
from tests.blocking.tools import Beside, dial, eventually, pause
from tests.client.proxy import Proxy
from tests.following.clients import cut_off
from tests.following.test_views_core import Feature
from tests.patience import PATIENCE
from visor import errors
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
    tcp,
)
from visor.views import http as http_probe


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
                pause(0.05)
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
            waiting = Beside(registry.wait_for_stable, 0.2)
            for number in range(8):
                now[0] += 0.19
                source.set([Endpoint("h", number + 1)])
                eventually(lambda number=number: ids(registry) == [f"h:{number + 1}"])
                assert not waiting.done
            now[0] += 0.19  # nothing changes, but for too short a time
            with pytest.raises(errors.DeadlineExceeded):
                registry.wait_for_stable(0.2, timeout=0)
            assert not waiting.done
            now[0] += 0.02
            waiting.join()
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
        closing = Beside(registry.close)
        last = registry.wait_for_change(changed, timeout=PATIENCE)
        closing.join()
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
        well: list[bool] = []
        asked: list[str] = []

        def probe(endpoint: Endpoint, seconds: float) -> None:
            asked.append(endpoint.id)
            if not well:
                raise ConnectionError("not yet")

        source = StaticLocator([Endpoint("a", 1)])
        with Registry(source, probe=probe, period=0.02, patience=PATIENCE) as registry:
            eventually(lambda: registry.summary().unhealthy == 1)
            assert registry.all_views()[0].problem == "ConnectionError: not yet"
            well.append(True)
            eventually(lambda: registry.summary().healthy == 1)
            assert registry.all_views()[0].problem == ""
            changes = registry.metrics.changes
            count = len(asked)
            eventually(lambda: len(asked) > count + 5)
            assert registry.metrics.changes == changes  # a probe that says the same changes nothing
            assert registry.metrics.failed_probes > 0
        count = len(asked)
        pause(0.05)
        assert len(asked) <= count + 1

    def test_who_comes_is_probed_at_once_and_who_goes_no_more(self) -> None:
        asked: list[str] = []
        source = StaticLocator([])

        def probe(endpoint: Endpoint, seconds: float) -> None:
            asked.append(endpoint.id)

        with Registry(source, probe=probe, period=60, patience=PATIENCE) as registry:
            source.set([Endpoint("a", 1), Endpoint("b", 1)])
            eventually(lambda: registry.summary().healthy == 2)
            source.set([Endpoint("b", 1)])
            eventually(lambda: ids(registry) == ["b:1"])
            source.set([Endpoint("b", 1), Endpoint("a", 1)])
            eventually(lambda: len(asked) == 3 and registry.summary().healthy == 2)
            assert sorted(asked) == ["a:1", "a:1", "b:1"]

    def test_what_a_probe_reports_counts_before_what_is_announced(self) -> None:
        def probe(endpoint: Endpoint, seconds: float) -> Reported:
            return Reported(Feature.HASH_PO, Partition("po"))

        with Registry(StaticLocator([Endpoint("a", 1)]), features=Feature, probe=probe) as registry:
            eventually(lambda: registry.healthy_views(Feature.HASH_PO) != [])
            registry.force_features("a:1", Feature.CAROUSEL)
            assert registry.healthy_views(Feature.HASH_PO) == []
            assert [view.id for view in registry.healthy_views(Feature.CAROUSEL)] == ["a:1"]
            registry.force_features("a:1", None)
            assert len(registry.holding("po", 5, Feature.HASH_PO)) == 1
            assert registry.holding("po", 5, Feature.CAROUSEL) == []

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
        waiting = Beside(get_nonempty, source)
        source.set([])
        source.set([Endpoint("a", 1)])
        assert (waiting.join()).endpoints == (Endpoint("a", 1),)
        assert (source.cached().version, str(source)) == (2, "static: tcp://a:1")
        assert StaticLocator([]).cached().version == 1
        waiting = Beside(source.wait_for_update, 2)
        source.close()
        with pytest.raises(Stopped):
            waiting.join()

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
