"""Files of TLS: each that cannot be used is named, with what is wrong with it; and when a certificate ends."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.tls.conftest import Files
from visor.testing.authority import Authority
from visord import embed
from visord.exits import StartRefusedError
from visord.tls import revocation
from visord.tls.credentials import Credentials, TlsFiles
from visord.tls.identity import Certified
from visord.tls.material import TlsFileError
from visord.tls.upkeep import ALARM_SECONDS, DAY

Damage = Callable[[Files, Path], TlsFiles]


def other_key(files: Files, folder: Path) -> TlsFiles:
    return TlsFiles(files[0], Authority(folder, "other").issue("x")[1])


def copied(files: Files, folder: Path, mode: int = 0o600, key: bytes | None = None) -> TlsFiles:
    copy = folder / "key.pem"
    copy.write_bytes(files[1].read_bytes() if key is None else key)
    copy.chmod(mode)
    return TlsFiles(files[0], copy)


def written(folder: Path, text: str) -> Path:
    file = folder / "file"
    file.write_text(text)
    return file


ENCRYPTED = b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n"
WRONG: dict[str, tuple[Damage, str]] = {
    "another key": (other_key, "the key .*other-x.key does not belong to the certificate .*server.pem"),
    "no certificate there": (
        lambda files, folder: TlsFiles(folder / "none", files[1]),
        "none cannot be read: No such",
    ),
    "no key there": (
        lambda files, folder: TlsFiles(files[0], folder / "none"),
        "none cannot be read: No such",
    ),
    "a key for all": (lambda files, folder: copied(files, folder, 0o644), "has mode 0644: .*chmod 600"),
    "a key for a group": (lambda files, folder: copied(files, folder, 0o640), "has mode 0640: .*chmod 600"),
    "a key with a passphrase": (
        lambda files, folder: copied(files, folder, key=ENCRYPTED),
        "has a passphrase",
    ),
    "an empty key": (lambda files, folder: copied(files, folder, key=b""), "there is no private key"),
    "files the wrong way": (lambda files, folder: TlsFiles(files[1], files[1]), "there is no certificate"),
    "no authority there": (
        lambda files, folder: TlsFiles(*files, folder / "none", "required"),
        "none cannot be read: No such",
    ),
    "no authority in it": (
        lambda files, folder: TlsFiles(*files, written(folder, "nothing"), "required"),
        "file: no certificates of an authority",
    ),
    "a slip in what was revoked": (
        lambda files, folder: TlsFiles(*files, files[0], "required", written(folder, "0A\nci\n")),
        "file, line 2: 'ci' is no serial number",
    ),
    "a folder": (lambda files, folder: TlsFiles(folder, files[1]), "no regular file"),
}


@pytest.mark.parametrize(("damage", "says"), WRONG.values(), ids=WRONG.keys())
def test_a_file_that_cannot_be_used_is_named_with_what_is_wrong(
    server_files: Files, tmp_path: Path, damage: Damage, says: str
) -> None:
    files = damage(server_files, tmp_path)
    with pytest.raises(TlsFileError, match=says):
        Credentials(files, time.time)


def test_a_node_does_not_start_with_such_a_file(server_files: Files, tmp_path: Path) -> None:
    settings = {"tls_cert": server_files[0], "tls_key": tmp_path / "none"}
    with pytest.raises(StartRefusedError, match="none cannot be read"):
        embed.start(settings=settings)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ({"tls_cert": "c"}, "tls_cert and tls_key belong together"),
        ({"tls_key": "k"}, "tls_cert and tls_key belong together"),
        ({"tls_client_cert": "required"}, "tls_client_ca and tls_client_cert"),
        ({"tls_cert": "c", "tls_key": "k", "tls_client_ca": "a"}, "tls_client_ca and tls_client_cert"),
        ({"tls_client_ca": "a", "tls_client_cert": "optional"}, "tls_client_ca needs tls_cert"),
        ({"tls_cert": "c", "tls_key": "k", "tls_revoked": "r"}, "tls_revoked needs tls_client_ca"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(settings: dict[str, object], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        embed.start(settings=settings)


def test_without_loopback_tls_is_enough(server_files: Files) -> None:
    settings = {"tls_cert": server_files[0], "tls_key": server_files[1]}
    with embed.start(listen="0.0.0.0:0", settings=settings):
        pass
    with pytest.raises(StartRefusedError, match=r"listen.tls_cert"):
        embed.start(listen="0.0.0.0:0")
    with pytest.raises(StartRefusedError, match=r"listen.http_insecure"):
        embed.start(settings={**settings, "http": "0.0.0.0:0"})


def test_a_client_is_refused_once_its_certificate_has_expired_also_while_it_is_connected(
    authority: Authority, server_files: Files
) -> None:
    """TLS itself looks at the time when hands are shaken, and never again."""
    now = [0.0]
    credentials = Credentials(TlsFiles(*server_files, authority.certificate, "required"), lambda: now[0])
    shown = Certified("ci", "ab" * 32, 7, 1000.0)
    assert credentials.refusal(shown) == ""
    now[0] = 1000.0
    assert "has expired" in credentials.refusal(shown)


# -- when it ends ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("days", "says"),
    [
        (-20.0, None),
        (-11.0, None),
        (-9.5, "expires in 10 days: put a new one there, no restart is needed"),
        (-1.5, "expires in 36 hours"),
        (-0.05, "expires in 72 minutes"),
        (0.5, "expired 12 hours ago: nobody who checks it connects"),
        (-31.5, "is valid in 12 hours only: is this machine's clock right?"),
    ],
)
def test_an_alarm_says_that_a_certificate_ends(server_files: Files, days: float, says: str | None) -> None:
    upkeep = Credentials(TlsFiles(*server_files), time.time).upkeep
    alarms = list(upkeep.alarms(upkeep.ends + days * DAY))
    if days == -31.5:
        alarms = list(upkeep.alarms(upkeep.begins - 0.5 * DAY))
    if says is None:
        assert alarms == []
    else:
        assert [says in alarm and str(server_files[0]) in alarm for alarm in alarms] == [True]
    assert ALARM_SECONDS == 10 * DAY


def test_what_could_not_be_used_is_told_once_and_stays_an_alarm(
    server_files: Files, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    files = copied(server_files, tmp_path)
    upkeep = Credentials(files, time.time).upkeep
    good = files.key.read_bytes()
    with caplog.at_level(logging.WARNING):
        files.key.write_bytes(b"half")
        assert not upkeep.tick() and not upkeep.tick()
    assert caplog.text.count("not used") == 1
    assert [alarm.partition(":")[0] for alarm in upkeep.alarms(upkeep.ends - 20 * DAY)] == [
        "certificate not read"
    ]
    files.key.write_bytes(good)
    assert upkeep.tick()
    assert list(upkeep.alarms(upkeep.ends - 20 * DAY)) == []
    assert (upkeep.loads, upkeep.failures) == (1, 1)


def test_what_was_revoked_is_read_as_openssl_prints_it(tmp_path: Path) -> None:
    digits = "4B" * 32
    colons = ":".join([digits[place : place + 2] for place in range(0, 64, 2)])
    file = written(tmp_path, f"# who\nserial=0A1f\n\nsha256 Fingerprint={colons}\n00ff  # by number\n")
    assert revocation.read(file) == (frozenset([digits.lower()]), frozenset([0x0A1F, 0xFF]))
    assert revocation.read(None) == (frozenset(), frozenset())
    for wrong in ("0" * 41, "0" * 65, "serial=", "visor:user/ci"):
        with pytest.raises(TlsFileError, match="line 1"):
            revocation.read(written(tmp_path, wrong))
