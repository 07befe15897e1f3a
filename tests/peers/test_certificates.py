"""Certificates that are renewed while a member runs."""

from __future__ import annotations

import asyncio
import logging
import ssl
from pathlib import Path
from typing import Any

import pytest

from tests.peers.authority import Authority
from tests.peers.conftest import Run
from tests.peers.world import Member, know, members, until
from visord.peers.certificates import Certificates
from visord.peers.errors import PeerUnavailableError
from visord.peers.messages import pack
from visord.peers.security import Security, from_settings
from visord.settings import PeerSettings
from visord.tls.identity import fingerprint_of


class Installed:
    """Where a member finds its certificate."""

    def __init__(self, folder: Path, authority: Authority) -> None:
        self.authority = authority
        self.cert, self.key, self.ca = folder / "cert.pem", folder / "key.pem", folder / "ca.pem"
        self.ca.write_bytes(authority.certificate.read_bytes())

    def issue(self, name: str) -> tuple[bytes, bytes]:
        cert, key = self.authority.issue(name, "IP:127.0.0.1")
        return cert.read_bytes(), key.read_bytes()

    def put(self, cert: bytes, key: bytes) -> None:
        self.cert.write_bytes(cert)
        self.key.write_bytes(key)
        self.key.chmod(0o600)

    def security(self) -> Security:
        files = {"tls_cert": self.cert, "tls_key": self.key, "tls_ca": self.ca}
        return from_settings(PeerSettings.model_validate(files))


@pytest.fixture
def installed(tmp_path: Path, authority: Authority) -> Installed:
    installed = Installed(tmp_path, authority)
    installed.put(*installed.issue("first"))
    return installed


async def name_shown_by(member: Member, context: ssl.SSLContext) -> str:
    """Return the common name in the certificate that a member shows to a new connection."""
    host, _, port = member.address.rpartition(":")
    _, writer = await asyncio.open_connection(host, int(port), ssl=context)
    certificate: dict[str, Any] = writer.get_extra_info("peercert")
    writer.close()
    return str(dict(part[0] for part in certificate["subject"])["commonName"])


def test_new_connections_use_what_was_renewed_and_a_half_renewed_one_changes_nothing(
    run: Run, installed: Installed, caplog: pytest.LogCaptureFixture
) -> None:
    cert, key = installed.issue("second")

    async def main() -> None:
        async with members("a", "b", security=installed.security(), renew_seconds=0.01) as (a, b):
            others = installed.security().dialling
            assert others is not None
            assert await name_shown_by(b, others) == "first"
            installed.cert.write_bytes(cert)
            await until(lambda: "not used" in caplog.text)
            assert str(installed.key) in caplog.text
            assert await name_shown_by(b, others) == "first"
            installed.key.write_bytes(key)
            await until(lambda: "were read again" in caplog.text)
            assert await name_shown_by(b, others) == "second"
            assert a.say("b", 1)  # what was connected before goes on
            await until(lambda: b.heard == [("a", [1])])

    with caplog.at_level(logging.WARNING):
        run(main())


def test_a_new_authority_is_trusted_beside_the_old_one(
    run: Run, installed: Installed, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("next")
    following = Installed(folder, Authority(folder, "next"))
    following.put(*following.issue("member"))
    authority = following.ca.read_bytes()
    following.ca.write_bytes(authority + installed.ca.read_bytes())

    async def main() -> None:
        async with members("a", "b", security=installed.security(), renew_seconds=0.01) as (a, b):
            b.peers.answer = lambda hello, message, reply, host: reply(pack(message))
            stranger = Member("c", security=following.security())
            with pytest.raises(PeerUnavailableError):
                await stranger.peers.ask(b.address, pack([1]), 5)
            installed.ca.write_bytes(authority)
            certificates = b.peers._security.certificates
            assert certificates is not None
            await until(lambda: len(certificates.accepting.get_ca_certs()) == 2)
            for asker in (stranger, a):
                assert await asker.peers.ask(b.address, pack([2]), 5) == [2]
            await stranger.close()

    run(main())


@pytest.mark.parametrize("file", ["cert", "key", "ca"])
def test_a_file_that_has_gone_or_is_no_certificate_changes_nothing(
    installed: Installed, file: str, caplog: pytest.LogCaptureFixture
) -> None:
    certificates = Certificates(installed.cert, installed.key, installed.ca, by_host=True)
    path: Path = getattr(installed, file)
    before = path.read_bytes()
    assert not certificates.tick()
    for damage in (lambda: path.write_bytes(b"nonsense"), path.unlink):
        damage()
        caplog.clear()
        assert not certificates.tick()
        assert str(path) in caplog.text
        caplog.clear()
        assert not certificates.tick()
        assert not caplog.text  # told once, not every minute
    path.write_bytes(before)
    if file == "key":  # not used, and not forgotten, while others may read it
        assert not certificates.tick()
        assert "chmod 600" in caplog.text
    path.chmod(0o600)
    assert certificates.tick()


def test_a_certificate_that_was_taken_back_is_cut_off_at_once_both_ways_and_stays_out(
    run: Run, authority: Authority, tmp_path: Path
) -> None:
    revoked = tmp_path / "revoked"
    revoked.write_text("# nobody\n")
    own = from_settings(authority.settings("own", tls_revoked=revoked))
    files = authority.settings("gone")
    assert files.tls_cert is not None
    fingerprint = fingerprint_of(ssl.PEM_cert_to_DER_cert(files.tls_cert.read_text()))

    async def main() -> None:
        a = Member("a", security=own, renew_seconds=0.01)
        b, c = Member("b", security=from_settings(files)), Member("c", security=own)
        for member in (a, b, c):
            await member.peers.start()
        for member in (a, b, c):
            know(member, a, b, c)
        await until(lambda: a.peers.reachable("b") and b.peers.reachable("a") and c.peers.reachable("a"))
        revoked.write_text(f"sha256 Fingerprint={fingerprint.upper()}\n")
        await until(lambda: not a.peers.reachable("b") and not b.peers.reachable("a"))
        await until(lambda: "the certificate was revoked" in b.peers.problem("a"))
        await until(lambda: "the certificate was revoked" in a.peers.problem("b"))
        assert c.peers.reachable("a") and a.peers.reachable("c")
        for member in (a, b, c):
            await member.close()

    run(main())


def test_what_keeps_tls_from_coming_about_is_told_in_words(
    run: Run, authority: Authority, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    stranger = Authority(tmp_path, "stranger")

    async def main() -> None:
        a = Member("a", security=from_settings(authority.settings("a")))
        b = Member("b", security=from_settings(stranger.settings("b")))
        for member in (a, b):
            await member.peers.start()
        know(b, a, b)
        await until(
            lambda: "was not made by an authority that is trusted here (peers.tls_ca)" in b.peers.problem("a")
        )
        await until(lambda: "no TLS of a member: the dialler " in caplog.text)
        for member in (a, b):
            await member.close()

    run(main())
