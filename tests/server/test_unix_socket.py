"""The Unix socket is never open to more than it says, and nothing but an ended server's socket is removed for it."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest

from visord.serving import unix_socket
from visord.serving.unix_socket import UnixSocketError


@pytest.mark.parametrize("mode", [0o600, 0o660, 0o666])
@pytest.mark.parametrize("umask", [0, 0o022, 0o177])
def test_it_is_born_with_its_mode(
    tmp_path: Path, mode: int, umask: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing changes the mode afterwards: what is seen at any moment is what is seen here."""
    monkeypatch.setattr(os, "chmod", None)
    before = os.umask(umask)
    try:
        bound = unix_socket.bind(tmp_path / "s", mode)
        assert os.umask(umask) == umask
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "s").lstat().st_mode) == mode
    bound.close()


def test_a_link_is_not_followed(tmp_path: Path) -> None:
    living = socket.socket(socket.AF_UNIX)
    living.bind(str(tmp_path / "other"))
    living.close()  # what it left is an ended server's socket
    (tmp_path / "s").symlink_to(tmp_path / "other")
    with pytest.raises(UnixSocketError, match="something else than a socket"):
        unix_socket.bind(tmp_path / "s", 0o600)
    (tmp_path / "t").symlink_to(tmp_path / "missing")
    with pytest.raises(UnixSocketError, match="something else than a socket"):
        unix_socket.bind(tmp_path / "t", 0o600)
    assert (tmp_path / "other").is_socket() and not (tmp_path / "missing").exists()


def test_what_an_ended_server_left_goes_a_living_one_and_a_strangers_stay(tmp_path: Path) -> None:
    path = tmp_path / "s"
    first = unix_socket.bind(path, 0o600)
    first.close()
    second = unix_socket.bind(path, 0o600)
    second.listen()
    with pytest.raises(UnixSocketError, match="another server is running"):
        unix_socket.bind(path, 0o600)
    second.close()
    if os.geteuid() == 0:
        os.chown(path, 12345, -1)
        with pytest.raises(UnixSocketError, match="socket of user 12345"):
            unix_socket.bind(path, 0o600)
    assert path.is_socket()


def test_a_directory_where_everybody_may_replace_it_is_refused(tmp_path: Path) -> None:
    (tmp_path / "open").mkdir()
    (tmp_path / "open").chmod(0o777)
    with pytest.raises(UnixSocketError, match="chmod o-w"):
        unix_socket.bind(tmp_path / "open" / "s", 0o600)
    (tmp_path / "open").chmod(0o1777)
    unix_socket.bind(tmp_path / "open" / "s", 0o600).close()


def test_only_the_own_one_is_removed_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "s"
    bound = unix_socket.bind(path, 0o600)
    inode = unix_socket.inode_of(path)
    path.rename(tmp_path / "moved")
    path.write_text("somebody else's")
    unix_socket.remove(path, inode)
    assert path.read_text() == "somebody else's"
    unix_socket.remove(tmp_path / "moved", inode)
    assert not (tmp_path / "moved").exists()
    bound.close()
