"""Three members that speak TLS to everybody, as processes: clients find the others, and each has to prove itself."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

import visor
from tests.cli.cli_harness import ROOT
from tests.cluster import ports
from tests.node_process import NodeProcess
from tests.patience import PATIENCE, eventually
from visor.testing.authority import Authority

PROVEN = {"listen.tls_client_cert": "required"}
HOSTS = ("127.0.0.1", "127.0.0.2", "127.0.0.3")


class Cluster:
    """Members n1 to n3, each at an address of its own that its certificate is made out to.

    With `consoles` each keeps a gateway, at its own address, and asks clients for no certificate.
    """

    def __init__(self, folder: Path, stack: ExitStack, *, consoles: bool = False) -> None:
        self.authority = Authority(folder)
        self.operator = self.authority.issue("operator", user="operator")
        self.clients = [ports.address().replace("127.0.0.1", host) for host in HOSTS]
        peers = [ports.address().replace("127.0.0.1", host) for host in HOSTS]
        self.nodes: list[NodeProcess] = []
        self.consoles: list[str] = []
        for number, host in enumerate(HOSTS):
            cert, key = self.authority.issue(f"n{number + 1}", hosts=(host,))
            ca = self.authority.certificate
            if consoles:  # as `visord init` makes them: the authority's own behind the member's
                cert.write_bytes(cert.read_bytes() + ca.read_bytes())
            settings = {
                "listen.tls_cert": cert,
                "listen.tls_key": key,
                **({"listen.console": f"{host}:0"} if consoles else PROVEN | {"listen.tls_client_ca": ca}),
                "peers.tls_cert": cert,
                "peers.tls_key": key,
                "peers.tls_ca": ca,
                "storage.log_segment_bytes": 4 << 20,
                "storage.log_chunk_bytes": 256 << 10,
            }
            words = [f"{name}={value}" for name, value in settings.items()]
            node = NodeProcess(
                None,
                arguments=[
                    *("serve", "--name", f"n{number + 1}", "--data-dir", str(folder / f"n{number + 1}")),
                    *("--listen", self.clients[number], "--peer-listen", peers[number]),
                    *(("--join", peers[0]) if number else ("--bootstrap",)),
                    *(part for word in words for part in ("--set", word)),
                ],
            )
            self.nodes.append(node)
            stack.callback(node.close)
            node.start()
            if consoles:
                self.consoles.append(node.line(PATIENCE).removeprefix("console on ").rstrip())

    def tls(self) -> visor.TLS:
        cert, key = self.operator
        return visor.TLS(str(self.authority.certificate), str(cert), str(key))

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        tls = self.tls()
        plain = {name: value for name, value in os.environ.items() if not name.startswith("VISOR")}
        secure = {"VISOR_CACERT": str(tls.ca), "VISOR_CERT": str(tls.cert), "VISOR_KEY": str(tls.key)}
        return subprocess.run(
            [sys.executable, "-m", "visor", *words, "--addr", self.clients[0]],
            env={**plain, **secure, "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with ExitStack() as stack:
        yield Cluster(tmp_path_factory.mktemp("cluster"), stack)


def test_the_command_reaches_each_member_and_finds_them_well(cluster: Cluster) -> None:
    eventually(lambda: cluster.run("cluster", "health", "--expect", "3").returncode == 0, "health")
    status = cluster.run("cluster", "status")
    assert status.returncode == 0
    assert all(name in status.stdout for name in ("n1", "n2", "n3"))
    assert "no answer" not in status.stdout


def test_a_client_goes_to_members_that_it_was_told_of_when_they_prove_who_they_are(cluster: Cluster) -> None:
    first = cluster.clients[0]
    with visor.dial(first, timeout=PATIENCE, tls=cluster.tls()) as client:
        client.set("/a", b"1")
        eventually(lambda: len(client.admin.members().members) == 3)
        cluster.nodes[0].kill()
        assert client.get("/a").value == b"1"
        client.set("/a", b"2")
        cluster.nodes[0].start()
        assert client.get("/a").value == b"2"


def test_nobody_reads_along_and_nobody_in_clear_is_served(cluster: Cluster) -> None:
    with pytest.raises(visor.errors.Unsupported, match="TLS is spoken at this port"):
        visor.dial(cluster.clients[1], timeout=PATIENCE)


def test_each_member_has_a_gateway_within_tls_that_serves_all_of_it(tmp_path: Path) -> None:
    """No browser: what is written by one is read by the others, followed there, and each sees all members."""
    with ExitStack() as stack:
        cluster = Cluster(tmp_path, stack, consoles=True)
        trust = ssl.create_default_context(cafile=str(cluster.authority.certificate))
        first, second, third = (
            stack.enter_context(httpx.Client(base_url=url, verify=trust, timeout=PATIENCE, trust_env=False))
            for url in cluster.consoles
        )
        hosts = [each.base_url.host for each in (first, second, third)]
        assert (first.base_url.scheme, hosts) == ("https", list(HOSTS))
        written = first.put("/v1/files/a", content=b"1")
        assert written.is_success, written.text
        rev, cluster_id = written.json()["rev"], written.headers["visor-cluster"]
        for each in (first, second, third):
            read = each.get(f"/v1/files/a?min_rev={rev}")
            assert (read.text, read.headers["visor-cluster"]) == ("1", cluster_id)
            assert each.get("/").headers["content-type"].startswith("text/html")
            eventually(lambda each=each: _answering(each) == 3, "all members are seen")  # type: ignore[misc]
        with third.stream("GET", f"/v1/watch?glob=/a&from={rev + 1}") as stream:
            assert second.put("/v1/files/a", content=b"2").is_success
            assert any(line == "event: commit" for line in stream.iter_lines())


def _answering(http: httpx.Client) -> int:
    """Return how many members have told a gateway of themselves: the own one, and those that it has asked."""
    members = http.get("/v1/cluster/live").json()["members"]
    return 1 + sum(each["answered_in"] is not None for each in members)
