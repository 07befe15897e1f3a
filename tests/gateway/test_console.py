"""`listen.console`: a node keeps a gateway running beside it; and the command `visor gateway` by itself."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.gateway.running import Caller
from tests.node_process import NodeProcess, environment, run
from tests.patience import PATIENCE, eventually
from visor.testing import Server

CONSOLE = re.compile(r"console on (http://127\.0\.0\.1:[1-9]\d*)\n")


def console_of(node: NodeProcess) -> str:
    """Return the URL that the node says."""
    match = CONSOLE.fullmatch(node.line(PATIENCE))
    assert match is not None
    return match[1]


def children(pid: int) -> list[int]:
    """Return the processes that this one has started."""
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    return [int(each) for each in found]


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/healthz", trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


def test_a_node_brings_its_console_up_again_and_takes_it_down(tmp_path: Path) -> None:
    with NodeProcess(None, arguments=["dev", "--listen", "127.0.0.1:0", "--console", "127.0.0.1:0"]) as node:
        assert node.process is not None
        pid = node.process.pid
        first = console_of(node)
        with Caller(first) as http:
            http.put("/v1/files/a", "1")
            assert http.get("/v1/whoami").json()["user"] == "anonymous"
        (child,) = children(pid)
        os.kill(child, signal.SIGKILL)
        second = console_of(node)
        with Caller(second) as http:
            assert http.get("/v1/files/a").text == "1"
        assert node.stop() == 0
        eventually(lambda: not answers(second), "the end of the console")


def test_the_console_ends_with_a_node_that_is_killed() -> None:
    with NodeProcess(None, arguments=["dev", "--listen", "127.0.0.1:0", "--console", "127.0.0.1:0"]) as node:
        url = console_of(node)
        node.kill()
        node.wait()
        eventually(lambda: not answers(url), "the end of the console")


def test_a_console_that_others_reach_must_speak_tls() -> None:
    refused = run("dev", "--listen", "127.0.0.1:0", "--console", "0.0.0.0:0")
    assert refused.returncode != 0
    assert "tokens would be said there in the clear" in refused.stderr


def visor(*words: str, address: str = "127.0.0.1:1") -> list[str]:
    return [sys.executable, "-m", "visor", "gateway", "--addr", address, *words]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--listen", "0.0.0.0:0"), "in the clear"),
        (("--listen", "nowhere"), "--listen must be HOST:PORT"),
        (("--listen", "127.0.0.1:99999"), "--listen must be HOST:PORT"),
        (("--tls-cert", "x"), "belong together"),
        (("--tls-cert", "/nowhere", "--tls-key", "/nowhere"), "no TLS: /nowhere cannot be read"),
        (("--unix", "/tmp/x", "--listen", "127.0.0.1:0"), "takes the place"),
        (("--unix", "/nowhere/at/all"), "cannot listen on"),
    ],
)
def test_what_cannot_be_is_said_in_a_line(words: tuple[str, ...], told: str) -> None:
    done = subprocess.run(
        visor(*words), capture_output=True, text=True, env=environment(), timeout=PATIENCE, check=False
    )
    assert done.returncode != 0
    assert told in done.stderr
    assert "Traceback" not in done.stderr


def test_the_command_serves_until_it_is_told_to_end(registry: Server, tmp_path: Path) -> None:
    socket = tmp_path / "http.sock"
    words = visor("--unix", str(socket), "-o", "plain", address=registry.address)
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=environment()) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == f"unix:{socket}\n"
        transport = httpx.HTTPTransport(uds=str(socket))
        with httpx.Client(transport=transport, base_url="http://localhost", timeout=PATIENCE) as http:
            assert http.put("/v1/files/unix", content=b"1").status_code == 200
        process.send_signal(signal.SIGTERM)
        process.wait(PATIENCE)
    assert not socket.exists()
