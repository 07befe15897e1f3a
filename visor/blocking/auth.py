# Generated from visor/aio/auth.py: do not edit it here, edit that and run `python .ci/unasync.py`.
"""Roles, users and tokens: `client.auth`.

    me = client.auth.whoami()
    client.auth.set_role("deployer", [Grant("write", "/apps/**")])
    token = client.auth.add_token("ci", ttl=30 * 86400)

What somebody may ask of itself (`whoami`, `can`) needs no right; all else needs `admin` on everything. A change counts
from the next write and the next read on, on every member, and ends the watches that are not allowed any more.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Protocol

from visor._core.backoff import in_milliseconds
from visor._core.public import public
from visor._core.shown import shown
from visor._core.token import check_password
from visor._drivers.environment import random_bytes
from visor.auth import (
    RIGHTS,
    Grant,
    Granted,
    Identity,
    JoinTokenInfo,
    RevokedCertificate,
    Role,
    TokenInfo,
    User,
    Verdict,
    grant_rows,
    granted_from_wire,
    identity_from_wire,
    join_token_from_wire,
    revoked_from_wire,
    role_from_wire,
    token_from_wire,
    user_from_wire,
    verdict_from_wire,
)
from visor.protocol import tokens, verbs
from visor.select import Selector

if TYPE_CHECKING:
    from visor.blocking._channel import Channel


class Asks(Protocol):
    """A client, as far as it is asked here."""

    channel: Channel[Any]


class Auth:
    """Who may do what. Methods raise what the client's do: Denied without the right, BadRequest for what cannot be."""

    def __init__(self, client: Asks) -> None:
        self._client = client
        self._call = client.channel.call

    # -- asking -----------------------------------------------------------------------------------------------
    def whoami(self, *, timeout: float | None = None) -> Identity:
        """Return who this client is to the registry, and what it may do."""
        return identity_from_wire(self._ask("whoami", {}, timeout))

    def can(
        self, right: str, files: str | Selector, *, user: str | None = None, timeout: float | None = None
    ) -> Verdict:
        """Tell whether a user (None: this client's) has a right on all these files, and by which role.

        `files` is what a grant takes: a path, a tree (`/a/**`) or a glob.
        """
        named, selector = Grant(right, files).row
        arguments = {"right": named, "selector": selector}
        if user is not None:
            arguments["user"] = user
        return verdict_from_wire(self._ask("can", arguments, timeout))

    def granted(self, files: str | Selector, *rights: str, timeout: float | None = None) -> Granted:
        """Return what of these files all of these rights (`read`, where none is given) are granted on to this client.

        A request that goes beyond what is granted is refused as a whole. Ask for what this returns in its place:

            mine = client.auth.granted("/**")
            for file in client.scan(mine.selector): ...

        `files` is what a scan takes, below the root of the client; what comes back can be given to scan, watch, count,
        history and diff (those of the past with the rights `read` and `history`). TooLarge where more than 32
        selectors would be needed: ask for less.
        """
        wrong = [right for right in rights if right not in RIGHTS]
        if wrong:
            raise ValueError(f"a right is one of {', '.join(RIGHTS)}, not {shown(wrong[0])}")
        root = self._client.channel.root
        arguments = {"rights": list(rights) or ["read"], "selector": root.selector(files)}
        return granted_from_wire(self._ask("narrow", arguments, timeout), root)

    def roles(self, *, timeout: float | None = None) -> tuple[Role, ...]:
        """Return all roles, by name."""
        return tuple(map(role_from_wire, self._ask("roles", {}, timeout)))

    def users(self, *, timeout: float | None = None) -> tuple[User, ...]:
        """Return all users, by name."""
        return tuple(map(user_from_wire, self._ask("users", {}, timeout)))

    def tokens(self, *, timeout: float | None = None) -> tuple[TokenInfo, ...]:
        """Return all tokens, by user and age, without what they say."""
        return tuple(map(token_from_wire, self._ask("tokens", {}, timeout)))

    def join_tokens(self, *, timeout: float | None = None) -> tuple[JoinTokenInfo, ...]:
        """Return all tokens to join, the oldest first, without what they say."""
        return tuple(map(join_token_from_wire, self._ask("joins", {}, timeout)))

    # -- changing ---------------------------------------------------------------------------------------------
    def set_role(
        self, name: str, grants: Iterable[Grant], *, note: str | None = None, timeout: float | None = None
    ) -> None:
        """Make a role, or give it other grants: those of before are gone."""
        self._change("set_role", {"name": name, "grants": grant_rows(grants)}, note, timeout)

    def delete_role(self, name: str, *, note: str | None = None, timeout: float | None = None) -> None:
        """Delete a role that no user has."""
        self._change("delete_role", {"name": name}, note, timeout)

    def set_user(
        self, name: str, roles: Iterable[str], *, note: str | None = None, timeout: float | None = None
    ) -> None:
        """Make a user, or give it other roles. With `anonymous` that is what everybody may.

        Refused (BadRequest) where nobody would be left with admin on everything.
        """
        if isinstance(roles, str):
            raise TypeError(f"roles are several names, not {shown(roles)}")
        self._change("set_user", {"name": name, "roles": list(roles)}, note, timeout)

    def delete_user(self, name: str, *, note: str | None = None, timeout: float | None = None) -> None:
        """Delete a user with all its tokens: what was begun with them ends, and no later write of it is applied."""
        self._change("delete_user", {"name": name}, note, timeout)

    def add_token(
        self,
        user: str,
        *,
        ttl: float | None = None,
        purpose: str = "",
        note: str | None = None,
        timeout: float | None = None,
    ) -> str:
        """Make a token that proves a user, for `ttl` seconds (None: until it is revoked), and return it.

        `purpose` is listed with it. It is made here, and the registry gets a digest of it alone: nobody can tell it
        again.
        """
        lasts = 0 if ttl is None else in_milliseconds(ttl, "a ttl")
        if ttl is not None and lasts <= 0:
            raise ValueError(f"a token lasts for more than 0 seconds, not for {shown(ttl)}")
        text = tokens.write(random_bytes(tokens.NUMBER), random_bytes(tokens.SECRET))
        made = tokens.read(text)
        assert made is not None
        row = {
            "id": made.id,
            "user": user,
            "digest": tokens.digest(made.secret),
            "ttl": lasts,
            "purpose": purpose,
        }
        self._change("add_token", row, note, timeout)
        return text

    def revoke_token(self, token: str, *, note: str | None = None, timeout: float | None = None) -> None:
        """Take a token back, by its id: it proves nothing from here on."""
        self._change("revoke_token", {"id": token}, note, timeout)

    def set_password(
        self, user: str, password: str | None, *, note: str | None = None, timeout: float | None = None
    ) -> None:
        """Give a user another password; None: it has none any more. What was begun with the one of before ends.

        It goes to the node, which makes a digest of it (argon2id), and that is what is written: the password itself
        stands in no log. BadRequest for one of fewer than 8 or more than 256 printable characters.
        """
        digest = None
        if password is not None:
            check_password(password)
            digest = self._call([verbs.PASSWORD, 0, "digest", password], False, timeout)
        self._change("set_password", {"name": user, "password": digest}, note, timeout)

    def login(
        self,
        user: str,
        password: str,
        *,
        ttl: float = 12 * 3600.0,
        purpose: str = "login",
        timeout: float | None = None,
    ) -> str:
        """Prove who this connection is by a password; return a token of that user for `ttl` seconds, 7 days at most.

        Dial with the token from then on: this connection is proven as long as it lasts, no longer. A client that is
        somebody already is refused (BadRequest); Denied for a user that is unknown or has another password.
        """
        if not isinstance(user, str):
            raise TypeError("a user is text")
        check_password(password)
        self._call([verbs.PASSWORD, 0, "prove", user, password], False, timeout)
        return self.add_token(user, ttl=ttl, purpose=purpose, timeout=timeout)

    def revoked_certificates(self, *, timeout: float | None = None) -> list[RevokedCertificate]:
        """Return the certificates that were taken back, the oldest first."""
        return [revoked_from_wire(row) for row in self._ask("revoked", {}, timeout)]

    def revoke_certificate(
        self, fingerprint: str, *, purpose: str = "", note: str | None = None, timeout: float | None = None
    ) -> None:
        """Take a certificate back, of a user or a member: connections that show it are closed, on every member.

        `fingerprint`: SHA-256 of the certificate, as `openssl x509 -noout -fingerprint -sha256` prints it, or its
        64 hexadecimal digits alone. `purpose` is listed with it.
        """
        self._change("revoke_certificate", _certificate(fingerprint, purpose=purpose), note, timeout)

    def allow_certificate(
        self, fingerprint: str, *, note: str | None = None, timeout: float | None = None
    ) -> None:
        """Let a certificate that was taken back prove again what it says."""
        self._change("allow_certificate", _certificate(fingerprint), note, timeout)

    def add_join_token(
        self,
        *,
        name: str = "",
        hosts: Iterable[str] = (),
        learner: bool = False,
        ttl: float = 3600.0,
        note: str | None = None,
        timeout: float | None = None,
    ) -> str:
        """Make a token that lets one machine become a member, once, within `ttl` seconds, and return it.

        `name`: what the member will be called ("": as it likes). `hosts`: names and addresses to which its certificate
        may be made out; none: those that it asks for and no other member has. `learner`: it gets no vote by itself.
        For clusters that `visord init` founded.
        """
        if isinstance(hosts, str):
            raise TypeError(f"hosts are several names, not {shown(hosts)}")
        lasts = in_milliseconds(ttl, "a ttl")
        if lasts <= 0:
            raise ValueError(f"a token lasts for more than 0 seconds, not for {shown(ttl)}")
        authority = self._ask("authority", {}, timeout)
        text = tokens.write_join(authority, random_bytes(tokens.NUMBER), random_bytes(tokens.SECRET))
        made = tokens.read_join(text)
        assert made is not None
        row = {
            "id": made.id,
            "digest": tokens.digest(made.secret),
            "name": name,
            "hosts": [host.lower() for host in hosts],
            "learner": learner,
            "ttl": lasts,
        }
        self._change("add_join", row, note, timeout)
        return text

    def revoke_join_token(self, token: str, *, note: str | None = None, timeout: float | None = None) -> None:
        """Take a token to join back, by its id. Who has become a member by it stays one."""
        self._change("revoke_join", {"id": token}, note, timeout)

    # -- inside -----------------------------------------------------------------------------------------------
    def _ask(self, question: str, arguments: dict[str, Any], timeout: float | None) -> Any:
        _, told = self._call([verbs.ACCESS, 0, question, arguments], False, timeout)
        return told

    def _change(
        self, action: str, arguments: dict[str, Any], note: str | None, timeout: float | None
    ) -> None:
        self._call([verbs.AUTH, 0, 0, action, arguments, note], True, timeout)

    def __repr__(self) -> str:
        return f"<visor auth of {self._client!r}>"


def _certificate(fingerprint: str, **more: str) -> dict[str, Any]:
    """Return the arguments that name a certificate. TypeError for what is no text; the registry judges the digits."""
    if not isinstance(fingerprint, str):
        raise TypeError(f"a fingerprint is text, not {shown(fingerprint)}")
    return {"fingerprint": fingerprint.rpartition("=")[2].replace(":", "").strip().lower(), **more}


public("visor", Auth)
