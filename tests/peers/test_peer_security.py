"""Certificates and secrets: which files are refused, who is let in with which certificate."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path
from typing import Any

import pytest

from tests.patience import PATIENCE
from tests.peers.authority import Authority
from tests.peers.conftest import Run
from tests.peers.world import Member, know, members, until
from visord import config
from visord.peers.errors import PeerRefusedError, PeersStartError
from visord.peers.messages import pack
from visord.peers.security import NOTHING, from_settings
from visord.settings import PeerSettings


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("stranger"), "theirs")


@pytest.mark.parametrize("with_secret", [False, True], ids=["tls", "tls and secret"])
def test_members_of_one_authority_speak_over_tls(
    run: Run, authority: Authority, tmp_path: Path, with_secret: bool
) -> None:
    more: dict[str, Any] = {}
    if with_secret:
        (tmp_path / "secret").write_text("a long enough secret\n")
        (tmp_path / "secret").chmod(0o600)
        more["secret_file"] = tmp_path / "secret"

    async def main() -> None:
        security = from_settings(authority.settings("m", **more))
        rng = random.Random(3)
        async with members("a", "b", security=security) as (a, b):
            sent = [[n, b"x" * rng.choice((0, 1000, 300_000))] for n in range(100)]
            for message in sent:
                assert a.say("b", *message)
            await until(lambda: len(b.heard) == 100)
            assert b.heard == [("a", message) for message in sent]
            b.peers.answer = lambda hello, message, reply, host: reply(pack([2, *message]))
            assert await a.peers.ask(b.address, pack([1]), 5) == [2, 1]

    run(main())


def test_who_has_no_certificate_of_the_authority_stays_out(
    run: Run, authority: Authority, stranger: Authority
) -> None:
    async def main() -> None:
        ours, theirs = from_settings(authority.settings("m")), from_settings(stranger.settings("m"))
        async with members("a", security=ours) as (a,):
            for security in (theirs, NOTHING):
                other = Member("b", security=security)
                await other.peers.start()
                know(other, a)
                know(a, other)
                await until(lambda: "dialled" not in a.peers.problem("b"))
                await until(lambda other=other: "dialled" not in other.peers.problem("a"))  # type: ignore[misc]
                await asyncio.sleep(0.2)
                assert not a.peers.reachable("b") and not other.peers.reachable("a")
                assert a.peers.problem("b") and other.peers.problem("a")
                await other.close()

    run(main())


def test_a_dialler_without_a_certificate_is_refused_by_tls(run: Run, authority: Authority) -> None:
    async def main() -> None:
        ours = from_settings(authority.settings("m"))
        blind = from_settings(authority.settings("m"))
        assert blind.dialling is not None
        bare = type(blind.dialling)(__import__("ssl").PROTOCOL_TLS_CLIENT)
        bare.load_verify_locations(authority.certificate)
        async with members("a", security=ours) as (a,):
            loop = asyncio.get_running_loop()
            reader, writer = await asyncio.open_connection(
                *a.address.split(":"), ssl=bare, server_hostname="127.0.0.1"
            )
            with pytest.raises(OSError, match=r"(?i)certificate|reset"):
                writer.write(b"x")
                if not await asyncio.wait_for(reader.read(), PATIENCE):
                    raise ConnectionResetError("reset")
            writer.transport.abort()
            assert loop.is_running()

    run(main())


def test_a_certificate_for_another_host_is_refused_unless_names_are_set(
    run: Run, authority: Authority
) -> None:
    async def main() -> None:
        elsewhere = from_settings(authority.settings("elsewhere", "DNS:elsewhere.example"))
        async with members("a", security=elsewhere) as (a,):
            asker = Member("q", security=from_settings(authority.settings("q")))
            with pytest.raises(PeerRefusedError, match="certificate"):
                await asker.peers.ask(a.address, pack([1]), 5)
            await asker.close()
        named = from_settings(
            authority.settings("named", "DNS:visor.example", tls_names=["visor.example", "x"])
        )
        async with members("a", "b", security=named) as (a, b):
            assert a.say("b", 1)
            await until(lambda: b.heard == [("a", [1])])
            other = Member(
                "c", security=from_settings(authority.settings("other", tls_names=["visor.example"]))
            )
            with pytest.raises(PeerRefusedError):  # by the accepter: its certificate has none of the names
                await other.peers.ask(a.address, pack([1]), 5)
            await other.close()

    run(main())


def test_files_that_cannot_be_used_are_named(
    authority: Authority, stranger: Authority, tmp_path: Path
) -> None:
    good = authority.settings("m").model_dump()
    (tmp_path / "junk").write_text("junk")
    (tmp_path / "short").write_text("short\n")
    (tmp_path / "empty").write_text("\n")
    for name in ("short", "empty"):
        (tmp_path / name).chmod(0o600)
    wrong: list[tuple[str, Path]] = [
        ("tls_cert", tmp_path / "none.pem"),
        ("tls_key", tmp_path / "none.key"),
        ("tls_ca", tmp_path / "none.pem"),
        ("tls_cert", tmp_path / "junk"),
        ("tls_ca", tmp_path / "junk"),
        ("tls_key", stranger.issue("m", "DNS:x")[1]),
        ("secret_file", tmp_path / "none"),
        ("secret_file", tmp_path / "short"),
        ("secret_file", tmp_path / "empty"),
    ]
    for key, file in wrong:
        with pytest.raises(PeersStartError, match=str(file)):
            from_settings(PeerSettings.model_validate({**good, key: file}))


def test_a_secret_is_nobody_elses(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    file = tmp_path / "secret"
    file.write_text("the first of two, long\n\n  the second of two, long \n")
    file.chmod(0o600)
    security = from_settings(PeerSettings(secret_file=file))
    assert security.secrets == (b"the first of two, long", b"the second of two, long")
    assert security.secret == security.secrets[0]
    assert not caplog.records
    for mode in (0o644, 0o640, 0o660, 0o602):
        file.chmod(mode)
        with pytest.raises(PeersStartError, match=rf"{file} has mode {mode:04o}.*chmod 600 {file}"):
            from_settings(PeerSettings(secret_file=file))


def test_a_key_is_nobody_elses(authority: Authority) -> None:
    settings = authority.settings("m")
    assert settings.tls_key is not None
    settings.tls_key.chmod(0o640)
    with pytest.raises(PeersStartError, match=f"chmod 600 {settings.tls_key}"):
        from_settings(settings)
    settings.tls_key.chmod(0o600)


@pytest.mark.parametrize("key", ["secret_file", "tls_cert", "tls_key", "tls_ca"])
def test_a_pipe_or_a_device_holds_nobody(authority: Authority, tmp_path: Path, key: str) -> None:
    os.mkfifo(tmp_path / "pipe", 0o600)
    (tmp_path / "huge").write_bytes(b"")
    os.truncate(tmp_path / "huge", 1 << 40)
    (tmp_path / "huge").chmod(0o600)
    for file in (tmp_path / "pipe", Path("/dev/zero"), tmp_path, tmp_path / "huge"):
        with pytest.raises(PeersStartError, match=str(file)):
            from_settings(PeerSettings.model_validate({**authority.settings("m").model_dump(), key: file}))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_what_root_gave_to_a_group_may_be_read_what_another_user_owns_may_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "secret"
    file.write_text("a secret of an orchestrator\n")
    os.chown(file, 12345, -1)
    file.chmod(0o600)
    with pytest.raises(PeersStartError, match="belongs to user 12345"):
        from_settings(PeerSettings(secret_file=file))
    os.chown(file, 0, -1)
    file.chmod(0o440)
    monkeypatch.setattr(os, "geteuid", lambda: 8046)  # root's file, and this is the service
    assert from_settings(PeerSettings(secret_file=file)).secret == b"a secret of an orchestrator"
    file.chmod(0o444)
    with pytest.raises(PeersStartError, match="0444"):
        from_settings(PeerSettings(secret_file=file))


def test_settings_are_checked_with_all_others(tmp_path: Path) -> None:
    file = tmp_path / "visord.toml"
    file.write_text('[peers]\nlisten = "nowhere"\nadvertise = "0.0.0.0:1"\ntls_crt = "x"\n')
    with pytest.raises(config.ConfigError) as caught:
        config.load({}, {"VISORD_PEERS__INSECURE": "perhaps"}, file)
    text = str(caught.value)
    assert len(caught.value.problems) == 4
    for key in ("peers.listen", "peers.advertise", "peers.tls_crt", "peers.insecure"):
        assert key in text
    with pytest.raises(config.ConfigError, match="belong together"):
        config.load({"peers.tls_cert": "x"}, {})
    settings, _ = config.load({}, {"VISORD_PEERS__TLS_NAMES": "a, b,", "VISORD_PEERS__TLS_CERT": "c",
                                   "VISORD_PEERS__TLS_KEY": "k", "VISORD_PEERS__TLS_CA": "a"})  # fmt: skip
    assert settings.peers.tls_names == ("a", "b")
    assert settings.peers.listen == "127.0.0.1:8047"
