"""Who comes by the Unix socket is who its kernel tells, where the settings know that user."""

from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest
from pydantic import ValidationError

import visor
from visor.errors import Denied
from visord import embed
from visord.settings import ListenSettings


def test_a_user_of_this_machine_needs_no_token(tmp_path: Path) -> None:
    path = tmp_path / "v.sock"
    with embed.start(settings={"unix": path, "unix_users": (f"{os.geteuid()}=ada",)}) as node:
        with visor.dial(node.address) as boss, visor.dial(f"unix:{path}") as unknown:
            assert unknown.auth.whoami().user == "anonymous"  # the registry does not know ada yet
            boss.auth.set_user("ada", ["root"])
            boss.auth.set_user("anonymous", [])
            with pytest.raises(Denied):
                boss.set("/a", b"1")
        with (
            visor.dial(f"unix:{path}") as ada,
            visor.dial(f"unix:{path}", token=None, actor="shell") as again,
        ):
            assert ada.auth.whoami().user == "ada"
            again.set("/a", b"1")
            assert [commit.actor for commit in again.history("/a")] == ["ada/shell"]
            token = ada.auth.add_token("ada")
            ada.auth.set_user("guest", [])
            guest = ada.auth.add_token("guest")
        with visor.dial(f"unix:{path}", token=guest) as less:  # a token goes before it
            assert less.auth.whoami().user == "guest"
        with visor.dial(node.address, token=token) as remote:
            remote.auth.set_user("other", ["root"])
            remote.auth.delete_user("ada")


def test_a_connection_ends_with_its_user(tmp_path: Path) -> None:
    path = tmp_path / "v.sock"
    node = embed.start(settings={"unix": path, "unix_users": (f"{os.geteuid()}=ada",)})
    with node, visor.dial(node.address) as boss:
        boss.auth.set_role("writer", [visor.auth.Grant("write", "/**")])
        boss.auth.set_user("ada", ["writer"])
        with visor.dial(f"unix:{path}") as ada:
            ada.set("/a", b"1")
            boss.auth.delete_user("ada")
            boss.auth.set_user("boss", ["root"])
            boss.auth.set_user("anonymous", [])
            with pytest.raises(Denied):
                ada.set("/a", b"2")


def test_who_is_named_must_be_somebody() -> None:
    me = pwd.getpwuid(os.geteuid()).pw_name
    assert ListenSettings(unix_users=f"{me}=ada, 65534=nobody").users_by_uid() == {  # type: ignore[arg-type]
        os.geteuid(): "ada",
        65534: "nobody",
    }
    for wrong in ("ada", "0=", "=ada", "no such user=ada", "0=a/b", "0=ada=root"):
        with pytest.raises(ValidationError):
            ListenSettings(unix_users=(wrong,))
