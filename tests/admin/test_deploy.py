"""The examples for three machines work as they are written; systemd is told what it wants to know."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.admin.command import visor as command
from tests.node_process import ROOT, NodeProcess, run
from tests.patience import PATIENCE
from tests.stable_ports import stable_port
from visord import config

DEPLOY = ROOT / "visord" / "deploy"
MACHINES = ("127.0.1.1", "127.0.1.2", "127.0.1.3")
"""Three machines: what stands for 10.0.0.1 to 10.0.0.3 of the examples."""

UNAVAILABLE = 6


@pytest.fixture
def ports() -> tuple[int, int]:
    """Two ports that are free on all three machines."""
    while True:
        held: list[socket.socket] = []
        found = (stable_port(), stable_port())
        try:
            held = [socket.create_server((machine, port)) for machine in MACHINES for port in found]
            return found
        except OSError:
            continue
        finally:
            for one in held:
                one.close()


def settings_file(folder: Path, number: int, ports: tuple[int, int]) -> Path:
    """Write the example for one machine, with addresses that exist here."""
    text = (DEPLOY / "visord.toml").read_text()
    for old, new in (
        ('name = "n1"', f'name = "n{number}"'),
        ("/var/lib/visord", str(folder / f"data{number}")),
        ("/etc/visord/secret", str(folder / "secret")),
        ("10.0.0.1:8046", f"{MACHINES[number - 1]}:{ports[0]}"),
        ("10.0.0.1:8047", f"{MACHINES[number - 1]}:{ports[1]}"),
        ("127.0.0.1:8048", "127.0.0.1:0"),
    ):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    file = folder / f"n{number}.toml"
    file.write_text(text + "[storage]\nlog_segment_bytes = 4194304\nlog_chunk_bytes = 262144\n")
    return file


@pytest.mark.soak
def test_three_machines_with_a_shared_secret(folder: Path, ports: tuple[int, int]) -> None:
    (folder / "secret").write_text("a secret of more than 16 characters\n")
    (folder / "secret").chmod(0o600)
    files = [settings_file(folder, number, ports) for number in (1, 2, 3)]
    join = ",".join(f"{machine}:{ports[1]}" for machine in MACHINES)
    founding = ["serve", "--config", str(files[0]), "--bootstrap"]
    with NodeProcess(None, arguments=founding) as founder:
        assert founder.stop() == 0
    nodes = [NodeProcess(None, arguments=["serve", "--config", str(file), "--join", join]) for file in files]
    try:
        for node in nodes:
            node.start()
        address = f"{MACHINES[1]}:{ports[0]}"
        answer = command(address, "cluster", "status", "--json")
        assert [row["client"] for row in answer.document["members"]] == [
            f"{machine}:{ports[0]}" for machine in MACHINES
        ]
        assert command(address, "set", "/a", "1").code == 0
        nodes[0].kill()
        # On a busy machine an election may take longer than a command waits: it says "run it again".
        while (answer := command(address, "set", "/a", "2")).code == UNAVAILABLE:
            assert answer.err.endswith("run it again\n")
        assert answer.code == 0
        nodes[0].start()
        assert command(f"{MACHINES[0]}:{ports[0]}", "get", "/a").out == "2"
        assert command(address, "cluster", "health").out == "healthy\n"
    finally:
        for node in nodes:
            node.close()


def test_the_settings_example_has_no_unknown_key() -> None:
    values = {
        f"{section}.{key}": value
        for section, keys in tomllib.loads((DEPLOY / "visord.toml").read_text()).items()
        for key, value in keys.items()
    }
    config.load(values, {})
    remarks = re.findall(r"^# (\w+) = ", (DEPLOY / "visord.toml").read_text(), re.MULTILINE)
    clients, members = remarks[:4], remarks[4:]
    assert clients == ["tls_cert", "tls_key", "tls_client_ca", "tls_client_cert"]
    assert members == ["tls_cert", "tls_key", "tls_ca"]


def test_compose_sets_only_what_there_is() -> None:
    text = (DEPLOY / "compose.yaml").read_text().replace("${NAME}", "n1").replace("${ADDRESS}", "10.0.0.1")
    found = dict(re.findall(r"^      (VISORD_\w+): \"?([^\"\n]+)\"?$", text, re.MULTILINE))
    assert len(found) == text.count("VISORD_") == 7
    settings, _ = config.load({}, found)
    assert (settings.listen.client, settings.peers.listen) == ("10.0.0.1:8046", "10.0.0.1:8047")


def test_the_unit_starts_the_command_that_there_is() -> None:
    unit = (DEPLOY / "visord.service").read_text()
    start = re.search(r"^ExecStart=\S+/visord (.*)$", unit, re.MULTILINE)
    assert start is not None
    options = run(start[1].split()[0], "--help").stdout
    for word in start[1].split():
        assert not word.startswith("--") or word in options, word
    analyze = shutil.which("systemd-analyze")
    if analyze is not None:
        done = subprocess.run(
            [analyze, "verify", str(DEPLOY / "visord.service")], capture_output=True, text=True, check=False
        )
        lines = [line for line in done.stderr.splitlines() if "visord" in line]
        assert [line for line in lines if "is not executable" not in line] == []


def test_systemd_hears_that_the_node_is_ready_that_it_turns_and_that_it_stops(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.bind(str(folder / "notify"))
        manager.settimeout(PATIENCE)
        monkeypatch.setenv("NOTIFY_SOCKET", str(folder / "notify"))
        monkeypatch.setenv("WATCHDOG_USEC", "400000")
        monkeypatch.delenv("WATCHDOG_PID", raising=False)
        with NodeProcess(folder / "data") as node:
            heard = [manager.recv(1000).decode() for _ in range(3)]
            assert heard[0] == "READY=1"
            assert heard[1].startswith("WATCHDOG=1\nSTATUS=leads in term ")
            assert heard[2].startswith("WATCHDOG=1\n")
            assert node.stop() == 0
            last = ""
            while not last.startswith("STOPPING"):
                last = manager.recv(1000).decode()


def test_a_wildcard_address_is_not_told_to_clients(folder: Path) -> None:
    """0.0.0.0 leads every client to its own machine."""
    arguments = ["serve", "--bootstrap", "--listen", "0.0.0.0:0", "--set", "listen.insecure=true"]
    arguments += ["--peer-listen", "127.0.0.1:0", "--data-dir", str(folder / "data")]
    with NodeProcess(None, arguments=arguments) as node:
        port = node.address.rpartition(":")[2]
        document = command(f"127.0.0.1:{port}", "cluster", "members", "--json").document
        assert [row["client"] for row in document["members"]] == [""]
        health = command(f"127.0.0.1:{port}", "cluster", "health")
        assert health.out.startswith("n1: rights open: ") and len(health.out.splitlines()) == 1
        assert "set listen.advertise" in node.errors()
    assert os.environ.get("NOTIFY_SOCKET") is None


def test_every_dependency_is_pinned_by_its_hash() -> None:
    """What is installed on a production machine is what was looked at, not what a name means today."""
    text = (DEPLOY / "constraints.txt").read_text()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"]
    wanted = [*project["project"]["dependencies"], *extras["cli"], *extras["server"], *extras["gateway"]]
    wanted += project["build-system"]["requires"]
    names = {re.split(r"[^A-Za-z0-9_.-]", line)[0].lower() for line in wanted} - {"visor-registry"}
    entries = [one for one in text.replace("\\\n", "").splitlines() if one and not one.startswith("#")]
    pinned = {}
    for entry in entries:
        name, version = re.split(r"[ ;]", entry)[0].split("==")
        pinned[name] = version
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry
    assert names <= set(pinned)
    installing = (DEPLOY / "Dockerfile").read_text() + (ROOT / "README.md").read_text()
    for line in re.findall(r"pip install .*", installing):
        if "/src" in line or "visord/deploy" in line or " ." in line:
            safe = "--require-hashes" in line or ("--no-deps" in line and "--no-build-isolation" in line)
            assert safe or "-e" in line, line


def test_the_unit_gives_the_node_no_more_than_it_needs() -> None:
    unit = (DEPLOY / "visord.service").read_text()
    for line in (
        "User=visord",
        "UMask=0077",
        "StateDirectoryMode=0700",
        "NoNewPrivileges=true",
        "CapabilityBoundingSet=",
    ):
        assert f"\n{line}\n" in unit
    (score,) = re.findall(r"^OOMScoreAdjust=(-?\d+)$", unit, re.M)
    assert -500 <= int(score) <= 0  # the kernel must be able to choose it before the rest of the machine
