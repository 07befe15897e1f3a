# Generated from tests/aio/test_auth.py: do not edit it here, edit that and run `python .ci/unasync.py`.
"""Roles, users and tokens, by the client that manages them; an open registry lets everybody."""

from __future__ import annotations

import pytest

from tests.blocking.tools import dial
from visor import errors, select
from visor.auth import Grant, Role, User
from visor.protocol import tokens
from visor.testing import Server


def test_roles_and_users_are_made_changed_listed_and_deleted(visor_server: Server) -> None:
    with dial(visor_server.address) as client:
        auth = client.auth
        assert auth.users() == (User("anonymous", ("root",)),)
        auth.set_role("deployer", [Grant("write", "/apps/**"), Grant("read", "/apps/*/web")])
        auth.set_user("ci", ["deployer"])
        root, deployer = sorted(auth.roles(), key=lambda role: role.name != "root")
        assert {grant.right for grant in root.grants} == {"read", "write", "history", "admin"}
        assert deployer == Role(
            "deployer", (Grant("write", select.tree("/apps")), Grant("read", select.glob("/apps/*/web")))
        )
        assert [str(grant) for grant in deployer.grants] == ["write on /apps/**", "read on /apps/*/web"]
        auth.set_role("deployer", [Grant("write", "/apps/web")])
        assert auth.can("write", "/apps/web", user="ci")
        with pytest.raises(errors.BadRequest, match="no user has"):
            auth.delete_role("deployer")
        auth.delete_user("ci")
        auth.delete_role("deployer")
        assert [user.name for user in auth.users()] == ["anonymous"]


def test_a_token_is_told_once_and_listed_without_what_it_says(visor_server: Server) -> None:
    with dial(visor_server.address) as client:
        auth = client.auth
        auth.set_user("ci", [])
        token = auth.add_token("ci", ttl=3600, purpose="build machine")
        made = tokens.read(token)
        assert made is not None
        (listed,) = auth.tokens()
        assert (listed.id, listed.user, listed.purpose) == (made.id, "ci", "build machine")
        assert listed.expires is not None
        assert (listed.expires - listed.created).total_seconds() == 3600
        assert token not in repr(auth.tokens())
        auth.revoke_token(made.id)
        assert auth.tokens() == ()
        with pytest.raises(errors.BadRequest, match="token"):
            auth.revoke_token(made.id)


def test_who_somebody_is_and_may(visor_server: Server) -> None:
    with dial(visor_server.address) as client:
        me = client.auth.whoami()
        assert (me.user, me.credential, me.expires, me.roles) == ("anonymous", "", None, ("root",))
        verdict = client.auth.can("admin", "/**")
        assert (bool(verdict), verdict.roles, verdict.missing) == (True, ("root",), None)
        client.auth.set_user("ada", ["root"])
        client.auth.set_user("anonymous", [])
        nobody = client.auth.can("read", "/a")
        assert (bool(nobody), nobody.roles, nobody.missing) == (False, (), "read on /a")
        with pytest.raises(errors.Denied) as denied:
            client.auth.users()
        assert denied.value.missing == "a token, or another proof of who you are"
        with pytest.raises(errors.Denied) as denied:
            client.set("/a", "1")
        assert denied.value.missing == "a token, or another proof of who you are"


def test_nobody_locks_everybody_out(visor_server: Server) -> None:
    with dial(visor_server.address) as client:
        with pytest.raises(errors.BadRequest, match="admin"):
            client.auth.set_user("anonymous", [])
        client.set("/a", "1")


def test_what_cannot_be_is_refused_before_it_is_sent(visor_server: Server) -> None:
    with dial(visor_server.address) as client:
        with pytest.raises(ValueError, match="a right is one of"):
            Grant("fly", "/a")
        with pytest.raises(TypeError, match="a grant"):
            client.auth.set_role("r", [("read", "/a")])  # type: ignore[list-item]
        with pytest.raises(TypeError, match="several names"):
            client.auth.set_user("u", "root")
        with pytest.raises(ValueError, match="more than 0"):
            client.auth.add_token("u", ttl=0)
        with pytest.raises(errors.BadRequest, match="user"):
            client.auth.add_token("nobody")
        with pytest.raises(TypeError, match="several names"):
            client.auth.add_join_token(hosts="n2")
        with pytest.raises(ValueError, match="more than 0"):
            client.auth.add_join_token(ttl=0)
        with pytest.raises(errors.Unsupported, match="no authority of its own"):
            client.auth.add_join_token()
        assert client.auth.join_tokens() == ()
        with pytest.raises(errors.BadRequest, match="grant"):
            client.auth.set_role("r", [Grant("read", select.children("/a"))])
