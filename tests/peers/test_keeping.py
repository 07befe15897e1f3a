"""The secret of a cluster that nobody set one for: made, kept, found again by the same user and by nobody else."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

import pytest

from visord.peers import keeping
from visord.peers.errors import PeersStartError
from visord.peers.keeping import NAME, Keeping, copies, find_copy, keep, kept, leave_copy
from visord.settings import PeerSettings

HERE = "127.0.0.1:8141"
SECRET = b"5" * 64


def node(
    folder: Path,
    environ: Mapping[str, str],
    *,
    fresh: bool = True,
    founds: bool = False,
    joins: tuple[str, ...] = (),
    settings: PeerSettings | None = None,
) -> Keeping:
    folder.mkdir(exist_ok=True)
    return Keeping(settings or PeerSettings(), folder, environ, fresh=fresh, founds=founds, joins=joins)


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "home").mkdir()
    return {"HOME": str(tmp_path / "home")}


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_who_founds_makes_a_secret_and_the_same_user_joins_with_it(
    tmp_path: Path, home: dict[str, str]
) -> None:
    founder = node(tmp_path / "a", home, founds=True)
    (secret,) = founder.opened(HERE, alone=True).secrets
    assert len(secret) == 64
    assert (kept(tmp_path / "a"), mode(tmp_path / "a" / NAME)) == (secret, 0o600)
    copy = tmp_path / "home/.local/state/visord/peers" / HERE
    assert (mode(copy), mode(copy.parent)) == (0o600, 0o700)

    joiner = node(tmp_path / "b", home, joins=("127.0.0.1:1", HERE))
    assert joiner.security.secrets == (secret,)
    joiner.opened("127.0.0.1:8142", alone=False)
    assert kept(tmp_path / "b") == secret
    assert joiner.exposure == founder.exposure == ""
    again = node(tmp_path / "b", {}, fresh=False)
    assert again.security.secrets == (secret,)


def test_another_user_finds_nothing(tmp_path: Path, home: dict[str, str]) -> None:
    node(tmp_path / "a", home, founds=True).opened(HERE, alone=True)
    (tmp_path / "other").mkdir()
    for environ in (
        {"HOME": str(tmp_path / "other")},
        {},
        {"HOME": "relative"},
        {"XDG_STATE_HOME": "relative"},
    ):
        joiner = node(tmp_path / "b", environ, joins=(HERE,))
        assert joiner.security.secrets == ()
        assert joiner.opened("127.0.0.1:8142", alone=False).secrets == ()
        assert "every user of this machine" in joiner.exposure
    assert not (tmp_path / "b" / NAME).exists()


def test_a_user_without_a_home_of_his_own_gets_no_copy_and_that_is_no_error(tmp_path: Path) -> None:
    missing = {"HOME": str(tmp_path / "nonexistent")}
    founder = node(tmp_path / "a", missing, founds=True)
    assert founder.opened(HERE, alone=True).secrets
    assert copies(missing) is None
    assert not (tmp_path / "nonexistent").exists()
    assert copies({"HOME": "/proc/1"}) is None or os.geteuid() == 0


def test_a_named_state_folder_is_made_and_wins(tmp_path: Path, home: dict[str, str]) -> None:
    environ = {**home, "XDG_STATE_HOME": str(tmp_path / "state" / "deep")}
    node(tmp_path / "a", environ, founds=True).opened(HERE, alone=True)
    assert (tmp_path / "state/deep/visord/peers" / HERE).exists()
    assert not (tmp_path / "home/.local").exists()


def test_a_copy_is_replaced_by_that_of_the_next_cluster_at_the_address(
    tmp_path: Path, home: dict[str, str]
) -> None:
    node(tmp_path / "a", home, founds=True).opened(HERE, alone=True)
    after = node(tmp_path / "b", home, founds=True).opened(HERE, alone=True)
    assert node(tmp_path / "c", home, joins=(HERE,)).security.secrets == after.secrets


def test_only_addresses_of_this_machine_have_copies(tmp_path: Path, home: dict[str, str]) -> None:
    folder = copies(home)
    for address in ("10.0.0.1:8047", "../127.0.0.1:1", "x", "", "localhost/../../x:1"):
        leave_copy(folder, address, SECRET)
        assert find_copy(folder, (address,)) is None
    assert folder is not None
    assert not folder.exists()


@pytest.mark.parametrize("odd", ["link", "fifo", "mode", "folder mode", "empty", "short"])
def test_what_others_could_have_made_is_not_used(tmp_path: Path, home: dict[str, str], odd: str) -> None:
    folder = copies(home)
    assert folder is not None
    leave_copy(folder, HERE, SECRET)
    copy = folder / HERE
    if odd == "link":
        copy.rename(folder / "real")
        copy.symlink_to(folder / "real")
    elif odd == "fifo":
        copy.unlink()
        os.mkfifo(copy, 0o600)
    elif odd == "mode":
        copy.chmod(0o644)
    elif odd == "folder mode":
        folder.chmod(0o755)
    else:
        copy.write_bytes(b"" if odd == "empty" else b"short")
    assert find_copy(folder, (HERE,)) is None


def test_a_secret_that_others_can_read_stops_the_start(tmp_path: Path) -> None:
    keep(tmp_path, SECRET)
    (tmp_path / NAME).chmod(0o644)
    with pytest.raises(PeersStartError, match="other users can read"):
        node(tmp_path, {}, fresh=False)


def test_settings_win_and_nothing_is_made_beside_them(tmp_path: Path, home: dict[str, str]) -> None:
    file = tmp_path / "mine"
    file.write_bytes(b"a secret of my own\n")
    file.chmod(0o600)
    named = node(tmp_path / "a", home, founds=True, settings=PeerSettings(secret_file=file))
    assert named.opened(HERE, alone=True).secrets == (b"a secret of my own",)
    open_ = node(tmp_path / "b", home, founds=True, settings=PeerSettings(insecure=True))
    assert open_.opened(HERE, alone=True).secrets == ()
    assert open_.exposure.startswith("peers.insecure is set")
    assert not (tmp_path / "a" / NAME).exists()
    assert not (tmp_path / "b" / NAME).exists()
    assert not (tmp_path / "home/.local").exists()


def test_a_directory_of_before_gets_a_secret_when_it_is_alone_and_an_alarm_when_not(tmp_path: Path) -> None:
    alone = node(tmp_path / "a", {}, fresh=False)
    assert alone.security.secrets == ()
    assert alone.opened(HERE, alone=True).secrets == (kept(tmp_path / "a"),)
    assert alone.exposure == ""
    others = node(tmp_path / "b", {}, fresh=False)
    assert others.opened(HERE, alone=False).secrets == ()
    assert others.exposure


def test_secrets_are_random() -> None:
    assert len({keeping.make() for _ in range(100)}) == 100


def test_who_joins_before_the_cluster_is_founded_looks_again(tmp_path: Path, home: dict[str, str]) -> None:
    leave_copy(copies(home), HERE, SECRET)  # of a cluster that is gone
    joiner = node(tmp_path / "b", home, joins=(HERE,))
    assert joiner.search().secrets == (SECRET,)
    founder = node(tmp_path / "a", home, founds=True)
    made = founder.opened(HERE, alone=True).secrets
    assert joiner.search().secrets == made != (SECRET,)
    joiner.opened("127.0.0.1:8142", alone=False)
    node(tmp_path / "c", home, founds=True).opened(HERE, alone=True)
    assert joiner.search().secrets == made  # it belongs to a cluster now
