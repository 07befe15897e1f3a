"""Health and metrics over HTTP, as orchestrators and Prometheus ask for them."""

from __future__ import annotations

import json
import socket
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from tests.admin.members import Members
from tests.node_process import NodeProcess, run
from tests.patience import PATIENCE
from visord.serving.web import CONNECTIONS
from visord.settings import ListenSettings


@pytest.fixture
def watched(folder: Path) -> Members:
    members = Members(folder, listen=ListenSettings(client="127.0.0.1:0", http="127.0.0.1:0"))
    members.start("n1", "n2", "n3")
    return members


def get(members: Members, name: str, path: str) -> tuple[int, str]:
    url = f"http://{members._servers[name].http_address}{path}"
    try:
        with urllib.request.urlopen(url, timeout=PATIENCE) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()


def figures(text: str) -> dict[str, float]:
    rows = [line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in rows}


def test_a_healthy_member_is_alive_and_ready(watched: Members) -> None:
    with watched:
        for path in ("/livez", "/readyz", "/healthz"):
            assert get(watched, "n2", path) == (200, "ok\n")
        status, text = get(watched, "n2", "/readyz?verbose")
        assert status == 200
        assert "[+] leader ok" in text.splitlines()
        assert get(watched, "n2", "/nothing")[0] == 404


def test_without_a_majority_it_lives_and_is_not_ready(watched: Members) -> None:
    with watched:
        watched.stop("n2")
        watched.stop("n3")
        watched.until(lambda: watched.node("n1").engine.leader is None, "n1 to notice")
        assert get(watched, "n1", "/livez") == (200, "ok\n")
        status, text = get(watched, "n1", "/readyz")
        assert status == 503
        assert json.loads(text)["failed"] == {"leader": "no leader is known"}
        assert figures(get(watched, "n1", "/metrics")[1])["visord_has_leader"] == 0


def test_the_figures_are_there_and_well_formed(watched: Members) -> None:
    with watched:
        leader = watched.leader()
        assert leader is not None
        with watched.dial(leader) as client:
            for number in range(5):
                client.set(f"/a/{number}", b"")
            text = get(watched, leader, "/metrics")[1]
        found = figures(text)
        assert (found["visord_rev"], found["visord_files"], found["visord_connections"]) == (5, 5, 1)
        assert (found["visord_is_leader"], found["visord_ready"], found["visord_voters"]) == (1, 1, 3)
        assert found['visord_alarms{alarm="diverged"}'] == 0
        assert (
            0
            < found['visord_commit_seconds{quantile="0.5"}']
            <= found['visord_commit_seconds{quantile="0.99"}']
        )
        peers = {name for name in found if name.startswith("visord_peer_lag_entries{")}
        assert len(peers) == 2
        assert found["process_resident_memory_bytes"] > 1e6
        types = [line.split() for line in text.splitlines() if line.startswith("# TYPE")]
        assert len({words[2] for words in types}) == len(types)
        for words in types:
            assert (words[3] == "counter") == words[2].endswith("_total")


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"POST /metrics HTTP/1.1\r\n\r\n", b"405"),
        (b"GET /livez\r\n\r\n", b"400"),
        (b"\x00\xff\r\n\r\n", b"400"),
        (b"\x00\x00\x00\xaf\x93\xaavisor-peer", b"400"),  # a member, which waits for an answer
        (b"\x93\x00\x01\x80", b"400"),  # a client
        (b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\n\r\n", b"431"),
        (b"HEAD /livez HTTP/1.0\r\nHost: x\r\n\r\n", b"200"),
    ],
)
def test_other_requests_are_refused_and_harm_nothing(folder: Path, request_: bytes, status: bytes) -> None:
    with Members(folder, listen=ListenSettings(client="127.0.0.1:0", http="127.0.0.1:0")) as members:
        members.start("n1")
        host, _, port = members._servers["n1"].http_address.rpartition(":")
        with socket.create_connection((host, int(port)), 5) as sock:
            sock.sendall(request_)
            received = b"".join(iter(lambda: sock.recv(4096), b""))
        assert received.startswith(b"HTTP/1.1 " + status)
        assert get(members, "n1", "/livez") == (200, "ok\n")


def test_idle_connections_keep_no_probe_out(folder: Path) -> None:
    """For somebody new the oldest goes, so that a probe is answered however many hold their places."""
    with Members(folder, listen=ListenSettings(client="127.0.0.1:0", http="127.0.0.1:0")) as members:
        members.start("n1")
        host, _, port = members._servers["n1"].http_address.rpartition(":")
        idle = [socket.create_connection((host, int(port)), 5) for _ in range(3 * CONNECTIONS)]
        for _ in range(3):
            assert get(members, "n1", "/livez") == (200, "ok\n")
        idle[0].settimeout(PATIENCE)
        assert idle[0].recv(1) == b""  # or it is reset; not kept
        for sock in idle:
            sock.close()


def test_beyond_loopback_it_needs_a_word(folder: Path) -> None:
    words = ["serve", "--bootstrap", "--listen", "127.0.0.1:0", "--peer-listen", "127.0.0.1:0"]
    words += ["--data-dir", str(folder / "data")]
    for address in ("0.0.0.0:0", "[::]:0", "localhost.example:0"):
        refused = run(*words, "--set", f"listen.http={address}")
        assert refused.returncode == 78 and "listen.http_insecure" in refused.stderr
    accepted = [*words, "--set", "listen.http=0.0.0.0:0", "--set", "listen.http_insecure=true"]
    with NodeProcess(None, arguments=accepted) as node:
        assert "open to its network" in node.errors()
