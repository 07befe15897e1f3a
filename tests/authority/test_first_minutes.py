"""`visor/docs/first-minutes.md`, word by word: from nothing to three members within TLS, and two users.

The machines are addresses of the loopback, each with a folder of its own; `scp` copies from one to another. Everything
else is what the page says.
"""

from __future__ import annotations

import contextlib
import datetime
import os
import re
import socket
import ssl
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.node_process import ROOT
from tests.patience import PATIENCE, eventually
from visord.authority.authority_files import AuthorityFiles
from visord.authority.founding import make_directory
from visord.authority.issuing import Authority, MemberNames, key_pem, new_key, read_request, request_of
from visord.authority.location import SETTINGS, locate, settings_text
from visord.storage.directory import Identity, write_identity
from visord.storage.disk import OsDisk

PAGE = ROOT / "visor" / "docs" / "first-minutes.md"
BLOCK = re.compile(r"^```sh\n# (10\.0\.0\.\d)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
READY = "visord ready on "


class Machines:
    """Three machines; each runs what a reader types there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.network = f"127.{os.getpid() % 200 + 20}.{os.getpid() // 200 % 200 + 20}."
        self.digest = ""
        self.running: dict[str, subprocess.Popen[str]] = {}
        programs = folder / "bin"
        programs.mkdir()
        for name in ("visor", "visord"):
            self._program(programs / name, f'exec {sys.executable} -m {name} "$@"')
        self._program(programs / "scp", f'cp -p "$2" "{folder}/${{3%:}}/"')
        for host in ("10.0.0.1", "10.0.0.2", "10.0.0.3"):
            self.home(self.here(host)).mkdir()

    @staticmethod
    def _program(file: Path, text: str) -> None:
        file.write_text(f"#!/bin/sh\n{text}\n")
        file.chmod(0o755)

    def here(self, text: str) -> str:
        """Return what is typed here for what the page says."""
        return text.replace("10.0.0.", self.network).replace("sha256:...", self.digest)

    def home(self, host: str) -> Path:
        return self.folder / host

    def environment(self, host: str) -> dict[str, str]:
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("VISOR_", "VISORD_", "XDG_"))
        }
        home = str(self.home(host))
        path = f"{self.folder / 'bin'}:{kept['PATH']}"
        return {**kept, "PATH": path, "HOME": home, "PYTHONPATH": str(ROOT)}

    def type(self, host: str, text: str) -> str:
        """Type lines at a machine, as one who stops at what fails; return what is printed."""
        host, printed = self.here(host), ""
        for line in self.here(text).replace("/var/lib/visord", str(self.home(host) / "data")).splitlines():
            if line.startswith("visord serve"):
                self.serve(host, line)
                continue
            ran = subprocess.run(
                ["sh", "-c", f"umask 077; {line}"],
                env=self.environment(host), cwd=self.home(host), capture_output=True, text=True, timeout=PATIENCE,
                check=False,
            )  # fmt: skip
            assert ran.returncode == 0, f"{line}\n{ran.stdout}\n{ran.stderr}"
            printed += ran.stdout
            found = re.search(r"sha256:[0-9a-f]{64}", ran.stdout)
            if line.startswith("visord init") and found is not None:
                self.digest = found[0]
        return printed

    def serve(self, host: str, line: str) -> None:
        """Run a member as in a terminal of its own, and wait until it says that it is ready."""
        with (self.home(host) / "log").open("w") as log:
            process = subprocess.Popen(
                ["sh", "-c", f"exec {line}"],
                env=self.environment(host), cwd=self.home(host), stdout=subprocess.PIPE, stderr=log, text=True,
            )  # fmt: skip
        self.running[host] = process
        assert process.stdout is not None
        told = process.stdout.readline()
        assert told.startswith(f"{READY}{host}:8046"), (self.home(host) / "log").read_text()

    def stop(self, host: str) -> None:
        process = self.running.pop(self.here(host))
        process.terminate()
        process.wait(PATIENCE)
        if process.stdout is not None:
            process.stdout.close()

    def refused(self, host: str, line: str) -> str:
        """Type a line that is refused; return what it says."""
        with pytest.raises(AssertionError) as refused:
            self.type(host, line)
        return str(refused.value)


@pytest.fixture
def machines(tmp_path: Path) -> Iterator[Machines]:
    made = Machines(tmp_path)
    yield made
    for host in list(made.running):
        made.stop(host)


@pytest.mark.timeout(300)
def test_the_page_leads_from_nothing_to_three_members_and_two_users(machines: Machines) -> None:
    blocks = BLOCK.findall(PAGE.read_text())
    assert len(blocks) == PAGE.read_text().count("```sh\n") == 8
    printed = [machines.type(host, text) for host, text in blocks]

    members = printed[5]
    assert members.count("voter") + members.count("leader") == 3
    assert printed[6].endswith("yes\n")
    assert printed[7].endswith("\nv1")

    here = machines.here
    assert "denied" in machines.refused("10.0.0.3", "visor get /other")
    assert "denied" in machines.refused("10.0.0.3", "visor user ls")
    ca = str(machines.home(here("10.0.0.3")) / "data" / "authority" / "ca.pem")
    stranger = f"env HOME=/nowhere VISOR_ADDR=10.0.0.2:8046 VISOR_CACERT={ca}"
    assert "denied" in machines.refused("10.0.0.1", f"{stranger} visor get /apps/web/head")
    assert "used by member" in machines.refused(
        "10.0.0.2", "visord join 10.0.0.1:8046 --token-file n2.join --data-dir other --listen 10.0.0.2:8146"
    )
    peers_ask_for_certificates(here("10.0.0.2"), ca)
    the_key_is_with_the_voters_alone(machines)
    a_cluster_without_its_founder_takes_members_in(machines)
    a_certificate_alone_makes_nobody_a_member(machines)


def peers_ask_for_certificates(host: str, ca: str) -> None:
    """Who has no certificate of a member does not get to say anything at the port of members."""
    context = ssl.create_default_context(cafile=ca)
    with (
        socket.create_connection((host, 8047), PATIENCE) as plain,
        contextlib.suppress(OSError),
        context.wrap_socket(plain, server_hostname=host) as secured,
    ):
        secured.sendall(b"\0" * 64)
        assert secured.recv(1) == b""  # or it was reset, which is as good


def the_key_is_with_the_voters_alone(machines: Machines) -> None:
    data = [machines.home(machines.here(f"10.0.0.{number}")) / "data" for number in (1, 2, 3)]
    files = [each / "authority" / "ca-key.pem" for each in data]
    eventually(lambda: all(file.exists() for file in files), "that each voter has the key")
    assert len({file.read_bytes() for file in files}) == 1
    assert all(stat.S_IMODE(file.stat().st_mode) == 0o600 for file in files)
    assert Authority.read((data[1] / "authority" / "ca.pem").read_bytes(), files[1].read_bytes()).signs
    lines = files[0].read_bytes().splitlines()[1:-1]
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key = load_pem_private_key(files[0].read_bytes(), None)
    number = key.private_numbers().private_value.to_bytes(32, "big")  # type: ignore[union-attr]
    for each in data:
        for file in each.rglob("*"):
            if file.is_file() and file not in files:
                content = file.read_bytes()
                assert number not in content and not any(line in content for line in lines), file


def a_cluster_without_its_founder_takes_members_in(machines: Machines) -> None:
    """Another voter makes certificates as well."""
    machines.stop("10.0.0.1")
    machines.type(
        "10.0.0.1",
        "visor login 10.0.0.2:8046 --name second --token-file root.token --ca-digest sha256:...\n"
        "visor join-token add --name n4 --host 10.0.0.4 --token-file n4.join\n"
        "visord join 10.0.0.3:8046 --token-file n4.join --data-dir n4 --listen 10.0.0.4:8046",
    )


def a_certificate_alone_makes_nobody_a_member(machines: Machines) -> None:
    """Who has got the authority's key, and makes a certificate by it, is not taken in: no token was used."""
    taken = machines.home(machines.here("10.0.0.2")) / "data" / "authority"
    authority = Authority.read((taken / "ca.pem").read_bytes(), (taken / "ca-key.pem").read_bytes())
    disk, path = OsDisk(), str(machines.home(machines.here("10.0.0.1")) / "forged")
    host = machines.here("10.0.0.5")
    where = locate("n5", f"{host}:8046", None, [])
    key, names = new_key(), MemberNames("5" * 16, where.hosts)
    now = datetime.datetime.now(datetime.UTC)
    certificate = authority.issue(read_request(request_of(key)), names, now, 7)
    make_directory(disk, path)
    files = AuthorityFiles(disk, path)
    files.make()
    files.keep_authority(authority.pem)
    files.keep_member(certificate, authority.pem, key_pem(key))
    peers = [f"{machines.here('10.0.0.2')}:8047", f"{machines.here('10.0.0.3')}:8047"]
    (Path(path) / SETTINGS).write_text(settings_text(where, path, files, peers))
    write_identity(disk, path, Identity(authority.cluster, "n5", names.member, False, closed=True))
    said = machines.refused("10.0.0.1", f"timeout {PATIENCE:g} visord serve --data-dir forged")
    assert "no token to join was used for n5" in said
