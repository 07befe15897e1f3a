"""Targets of Prometheus: what runs and what is announced, whole and of now, or a problem."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

import visor
from tests.gateway.conftest import closed_to
from tests.gateway.running import Caller, Running, gateway
from tests.patience import GROWING, PATIENCE
from visor.auth import Grant
from visor.testing import Server, server

Targets = dict[str, dict[str, str]]


@pytest.fixture(scope="module", autouse=True)
def laid_out(registry: Server) -> None:
    """Four instances: one runs with a port of its telemetry, one on IPv6, one stops, one waits to be taken."""
    with registry.dial() as client:
        domain = visor.registry.Registry(client)
        domain.init()
        app = domain.register_app("git://web", "trusty", "web")
        app.register_revision("v1")
        app.register_proc("worker")
        domain.scale("web", "v1", "worker", 4)
        first, second, third, _ = domain.snapshot().instances()
        first.claim("h1").started(port=8000, ip="10.0.0.1", tele_port=9100)
        second.claim("h2").started(port=8000, ip="fd00::2")
        third.claim("h3").started(port=8000, ip="10.0.0.3").stop()
        domain.register_app("git://idle", "trusty", "idle")
        domain.snapshot().new_service("search").register().register_endpoint(
            "s1.example:80", priority=1, weight=5
        )


def targets(http: Caller, url: str) -> Targets:
    """Return the labels of each target."""
    answer = http.get(url)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    groups: list[dict[str, Any]] = answer.json()
    assert all(len(group["targets"]) == 1 and group.keys() == {"targets", "labels"} for group in groups)
    return {group["targets"][0]: group["labels"] for group in groups}


def test_instances_are_targets_with_what_is_known_of_them(http: Caller) -> None:
    found = targets(http, "/v1/sd/instances")
    assert found.keys() == {"10.0.0.1:8000", "[fd00::2]:8000", "10.0.0.3:8000"}
    labels = found["10.0.0.1:8000"]
    assert labels.pop("__meta_visor_instance").isdigit()
    assert labels == {
        "__meta_visor_app": "web",
        "__meta_visor_revision": "v1",
        "__meta_visor_proc": "worker",
        "__meta_visor_host": "h1",
        "__meta_visor_state": "running",
    }
    assert found["10.0.0.3:8000"]["__meta_visor_state"] == "stopping"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("healthy=1", {"10.0.0.1:8000", "[fd00::2]:8000"}),
        ("port=telemetry", {"10.0.0.1:9100"}),
        ("host=h2&app=web", {"[fd00::2]:8000"}),
        ("proc=other", set()),
        ("app=idle", set()),
    ],
)
def test_what_is_asked_for(http: Caller, query: str, expected: set[str]) -> None:
    assert targets(http, f"/v1/sd/instances?{query}").keys() == expected


def test_endpoints_of_services(http: Caller) -> None:
    labels = {"service": "search", "host": "s1.example", "priority": "1", "weight": "5"}
    expected = {"s1.example:80": {f"__meta_visor_{name}": value for name, value in labels.items()}}
    assert targets(http, "/v1/sd/services") == expected
    assert targets(http, "/v1/sd/services?service=search") == expected


def test_nothing_is_never_told_for_what_is_not_known(http: Caller, monkeypatch: pytest.MonkeyPatch) -> None:
    assert http.problem("GET", "/v1/sd/instances?app=wep") == (404, "not_found")
    assert http.problem("GET", "/v1/sd/services?service=serch") == (404, "not_found")
    assert http.problem("GET", "/v1/sd/instances?aap=web") == (400, "usage")
    monkeypatch.setattr("visor.gateway.discovery.MOST", 2)
    assert http.problem("GET", "/v1/sd/instances") == (400, "usage")


def test_a_record_that_cannot_be_read_is_left_out_and_counted(
    http: Caller, client: visor.Client[bytes]
) -> None:
    path = next(iter(client.scan("/apps/web/instances/**"))).path
    kept = client.get(path).value
    client.set(path, b"{")
    try:
        answer = http.get("/v1/sd/instances")
        assert (len(answer.json()), answer.headers["visor-damaged"]) == (2, "1")
    finally:
        client.set(path, kept)


def test_a_registry_that_is_gone_is_no_empty_list(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("visor.gateway.upstream.CONNECT_SECONDS", 0.1)
    with server() as gone:
        address = gone.address
    with gateway(address) as running, Caller(running.url) as http:
        status, _ = http.problem("GET", "/v1/sd/instances")
        assert status == 503


JSON = re.compile(r'application/json(?:;\s*charset=(?:"utf-8"|utf-8))?', re.IGNORECASE)
LABEL = re.compile(r"__meta_visor_[a-z]+")
ADDRESS = re.compile(r"(?:[^\s/:\[\]]+|\[[0-9a-f:]+\]):[0-9]{1,5}")


@pytest.mark.parametrize(
    "url",
    ["/v1/sd/instances", "/v1/sd/instances?port=telemetry", "/v1/sd/instances?app=idle", "/v1/sd/services"],
)
def test_a_list_has_the_form_that_prometheus_takes(http: Caller, url: str) -> None:
    """https://prometheus.io/docs/prometheus/latest/http_sd/ : what differs is refused there, and all of it with it."""
    asked = {
        "accept": "application/json",
        "x-prometheus-refresh-interval-seconds": "60",
        "user-agent": "Prometheus/2",
    }
    answer = http.get(url, headers=asked)
    assert answer.status_code == 200
    assert JSON.fullmatch(answer.headers["content-type"])
    groups = json.loads(answer.content.decode("utf-8"))
    assert isinstance(groups, list), "[] where there is nothing, never null"
    for group in groups:
        assert group.keys() <= {"targets", "labels"}
        assert all(ADDRESS.fullmatch(target) for target in group["targets"])
        assert all(
            LABEL.fullmatch(name) and isinstance(value, str) for name, value in group["labels"].items()
        )


def test_what_prometheus_may_read_is_enough_for_it() -> None:
    """As the page says: each list needs what it is made of, and nothing else."""
    needed = {"instances?app=web": "/apps/**", "services?service=search": "/services/**"}
    for url, files in needed.items():
        with server() as registry, registry.dial() as client:
            domain = visor.registry.Registry(client)
            domain.init()
            domain.register_app("git://web", "trusty", "web")
            domain.snapshot().new_service("search").register()
            _, token = closed_to(client, [Grant("read", files)])
            with gateway(registry.address) as running, Caller(running.url) as http:
                bearer = {"authorization": f"Bearer {token}"}
                answer = http.get(f"/v1/sd/{url}", headers=bearer)
                assert (answer.status_code, answer.json()) == (200, []), answer.text


@pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool (Debian's prometheus) is not installed"
)
def test_prometheus_itself_finds_them(running: Running, tmp_path: Path) -> None:
    config = tmp_path / "prometheus.yml"
    jobs = [
        {"job_name": name, "http_sd_configs": [{"url": f"{running.url}/v1/sd/{name}"}]}
        for name in ("instances", "services")
    ]
    config.write_text(json.dumps({"scrape_configs": jobs}))  # JSON is YAML
    expected = {"10.0.0.1:8000", "[fd00::2]:8000", "10.0.0.3:8000", "s1.example:80"}
    for seconds in GROWING:  # it listens for as long as that, whatever has come
        found = {each for job in jobs for each in _found(config, str(job["job_name"]), seconds)}
        if found == expected:
            return
    pytest.fail(f"it has found {found}")


def _found(config: Path, job: str, seconds: float) -> set[str]:
    words = ["promtool", "check", "service-discovery", "--timeout", f"{seconds:g}s", str(config), job]
    done = subprocess.run(words, capture_output=True, text=True, timeout=2 * PATIENCE, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return {each["labels"]["__address__"] for each in json.loads(done.stdout)}
