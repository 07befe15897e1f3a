"""`visord init`: a directory from which a node just runs; from the first entry on nobody may do anything but root."""

from __future__ import annotations

import asyncio
import datetime
import shutil
import stat
import time
from pathlib import Path

import pytest

import visor
from tests.authority.conftest import begin, dial, serve
from tests.patience import eventually
from visor.protocol.limits import DEFAULT
from visord import config, embed
from visord.authority.founding import Founded
from visord.authority.issuing import read_certificate
from visord.authority.location import BeginningError, locate
from visord.data import Data
from visord.environment import Environment
from visord.settings import Settings
from visord.state.auth.auth_store import AuthStore
from visord.storage.directory import read_identity
from visord.storage.disk import OsDisk
from visord.storage.errors import StorageError


def test_nobody_but_root_may_do_anything_also_after_a_restart(
    founded: tuple[Path, Founded], tmp_path: Path
) -> None:
    path, made = founded
    for _ in range(2):
        with serve(path) as node:
            with dial(node, path, made.token) as root:
                assert root.auth.whoami().user == "root"
                root.set("/a", b"1")
                assert [user.roles for user in root.auth.users()] == [(), ("root",)]
            with dial(node, path) as stranger:
                for ask in (lambda: stranger.get("/a"), lambda: stranger.set("/b", b""), stranger.rev):
                    with pytest.raises(visor.errors.Denied):
                        ask()


def test_nothing_in_the_directory_says_the_token_or_is_open_to_others(founded: tuple[Path, Founded]) -> None:
    path, made = founded
    secret = made.token.split("_")[2].encode()
    files = [file for file in path.rglob("*") if file.is_file()]
    assert files
    for file in (path, *path.rglob("*")):
        assert not stat.S_IMODE(file.stat().st_mode) & 0o077, file
    for file in files:
        assert secret not in file.read_bytes(), file
    assert made.token not in repr(made)


def test_the_settings_are_what_serve_reads(founded: tuple[Path, Founded]) -> None:
    path, _ = founded
    settings, _ = config.load({}, {}, path / "visord.toml")
    assert settings.node.data_dir == path
    assert (settings.listen.client, settings.peers.listen) == ("127.0.0.1:8046", "127.0.0.1:8047")
    assert settings.peers.tls_cert == settings.listen.tls_cert == path / "authority" / "member.pem"
    assert settings.listen.tls_client_cert == "optional"
    assert Settings().peers.join == settings.peers.join == ()


def test_a_directory_that_is_not_empty_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "note").write_text("mine")
    with pytest.raises(BeginningError, match=r"not empty, it holds note"):
        begin(tmp_path)
    assert [file.name for file in tmp_path.iterdir()] == ["note"]


class Breaking(OsDisk):
    """A disk of which the machine goes down before its nth change."""

    def __init__(self, changes: int) -> None:
        self.left = changes

    def _change(self) -> None:
        if self.left == 0:
            raise KeyboardInterrupt
        self.left -= 1

    def open(self, path: str, *, create: bool = False):  # type: ignore[no-untyped-def]
        self._change()
        return super().open(path, create=create)

    def rename(self, old: str, new: str) -> None:
        self._change()
        super().rename(old, new)

    def mkdir(self, path: str) -> None:
        self._change()
        super().mkdir(path)


def test_a_crash_at_any_moment_leaves_a_whole_cluster_or_nothing_that_starts(tmp_path: Path) -> None:
    whole = False
    for changes in range(100):
        path = tmp_path / "data"
        try:
            begin(path, Breaking(changes))
            whole = True
        except KeyboardInterrupt:
            pass
        if path.exists() and read_identity(OsDisk(), str(path)) is None and any(path.iterdir()):
            with pytest.raises(BeginningError, match="not empty"):
                begin(path)
            if changes > 3:  # before, it is as good as new
                with pytest.raises(StorageError):
                    embed.start(path)
        if whole:
            break
        shutil.rmtree(path, ignore_errors=True)
    assert whole


def test_a_member_that_has_applied_nothing_yet_knows_of_nobody() -> None:
    table = AuthStore.closed()
    assert not table.open
    assert not table.rights("anonymous").any
    assert table.digest == AuthStore().digest == ""  # replicas are equal before the first entry, too


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("n 1", "127.0.0.1:1", None, []), "--name"),
        (("n1", "127.0.0.1", None, []), "--listen"),
        (("n1", "127.0.0.1:0", None, []), "--listen"),
        (("n1", "0.0.0.0:8046", None, []), "say with --host"),
        (("n1", "127.0.0.1:1", "127.0.0.1:1", []), "a port each"),
        (("n1", "127.0.0.1:1", None, ["a b"]), "--host"),
    ],
)
def test_what_cannot_be_is_refused_with_the_option_s_name(
    arguments: tuple[str, str, str | None, list[str]], words: str
) -> None:
    with pytest.raises(BeginningError, match=words):
        locate(*arguments)


def test_who_listens_everywhere_is_called_by_the_first_host() -> None:
    where = locate("n1", "0.0.0.0:8046", None, ["n1.example", "10.0.0.1"])
    assert (where.client_told, where.peer, where.peer_told) == (
        "n1.example:8046",
        "0.0.0.0:8047",
        "n1.example:8047",
    )
    assert where.hosts == ("n1.example", "10.0.0.1")
    assert locate("n1", "10.0.0.1:1", None, ["n1"]).hosts == ("n1", "10.0.0.1")


def test_a_certificate_that_is_old_is_renewed_by_a_running_node(tmp_path: Path) -> None:
    path = tmp_path / "data"
    begin(path, now_ms=time.time_ns() // 1_000_000 - 85 * 86_400_000)
    member = path / "authority" / "member.pem"
    before = member.read_bytes()
    with serve(path):
        eventually(lambda: member.read_bytes() != before, "that the certificate was renewed")
    after = read_certificate(member.read_bytes())
    assert after.not_valid_after_utc - read_certificate(before).not_valid_after_utc > datetime.timedelta(
        days=80
    )
    with serve(path) as node, dial(node, path) as client:
        client.ping()


def test_a_member_that_was_killed_before_its_first_checkpoint_is_closed_before_it_has_applied_anything(
    tmp_path: Path,
) -> None:
    path = tmp_path / "data"
    begin(path)

    async def opened() -> tuple[int, bool, int]:
        environment = Environment.real(asyncio.get_running_loop())
        data = Data(path, Settings(), environment)
        data.open(DEFAULT, None, lambda: b"")
        try:
            return data.machine.index, data.machine.auth.open, data.log.last_index
        finally:
            data.close()
            environment.close()

    index, is_open, last = asyncio.run(opened())
    assert (index, is_open) == (0, False)
    assert last == 2  # what says who may do what is in the log, and not applied yet
