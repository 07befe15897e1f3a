"""Who there is and what each may do: replicated, changed at an index of the log, the same on all members.

    table.change("set_role", {"name": "deployer", "grants": [["write", [1, "/apps"]]]})     -> None, or a Refusal
    table.change("set_user", {"name": "ci", "roles": ["deployer"]})
    table.change("add_token", {"id": "k3x9...", "user": "ci", "digest": b"...", "ttl": 0, "purpose": "laptop"})
    table.rights("ci").may("write", "/apps/web/app")                                        -> True

roles     name -> grants               a set of grants; `root` has all of them, is always there, and cannot be changed
users     name -> roles, password      principals; `anonymous` is everybody who proves nothing, and always there
tokens    id -> user, digest, expiry   what proves a user; the secret itself is never here
revoked   fingerprint -> when, why     certificates that prove nothing any more, of users and of members
joins     id -> digest, hosts, expiry  what lets a machine become a member (`join_table`)

As long as `anonymous` has the role `root` everybody may do everything: a cluster of before has that, and so has
`visord dev`. A change that would leave nobody with admin on everything is refused. Whatever is refused changes nothing.

Everything is bounded: each list by a count, all together by `MAX_BYTES`.
"""

from __future__ import annotations

import hashlib
import itertools
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final
from weakref import WeakValueDictionary

import msgpack

from visor.protocol.limits import DEFAULT, Limits
from visor.protocol.verbs import SEL_TREE
from visord.state import fields as fields_of
from visord.state import refusal
from visord.state.auth.grant import ADMIN, RIGHTS, Grant, parse_grant
from visord.state.auth.join_table import DEFAULT_TTL, JoinTable
from visord.state.auth.principal import (
    ANONYMOUS,
    CERTIFICATE,
    MAX_NAME,
    NOBODY,
    PASSWORD,
    certified_by,
    is_name,
    password_of,
)
from visord.state.auth.rights import Rights
from visord.state.fields import MAX_INT
from visord.state.formats import FORMAT, OLDEST, SECRETS
from visord.state.refusal import Refusal, bad_request
from visord.state.selector import Selector, parse

ROOT: Final = "root"
"""The role that may do everything."""
MAX_ROLES: Final = 256
MAX_GRANTS: Final = 256
"""Of one role."""
MAX_USERS: Final = 4096
MAX_USER_ROLES: Final = 32
MAX_TOKENS: Final = 8192
MAX_USER_TOKENS: Final = 256
MAX_REVOKED: Final = 4096
"""Certificates that were taken back."""
MAX_PASSWORD: Final = 256
"""Bytes of a password's digest, with how it was made."""
MAX_PURPOSE: Final = 128
MAX_BYTES: Final = 4 << 20
"""Texts of everything together."""
DIGEST: Final = 32
"""Bytes of a token's digest (SHA-256)."""

_TOKEN: Final = re.compile(r"[a-z0-9]{8,20}")
_FINGERPRINT: Final = re.compile(r"[0-9a-f]{64}")
MAX_TTL: Final = 100 * 366 * 86_400_000
"""ms that a token may last: a hundred years."""


@dataclass(frozen=True, slots=True)
class Role:
    """A named set of grants."""

    name: str
    grants: tuple[Grant, ...]
    rules: bool = field(init=False)
    """It has admin on everything. Found once: each change of a user asks all roles."""

    def __post_init__(self) -> None:
        rules = any(each.right == ADMIN and each.selector.form == EVERYTHING.form for each in self.grants)
        object.__setattr__(self, "rules", rules)


@dataclass(frozen=True, slots=True)
class User:
    """A principal. `password`: the digest of one, with how it was made; None: it has none."""

    name: str
    roles: tuple[str, ...]
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Token:
    """What proves a user. `expires`: ms since 1970, 0 is never. `created`: the command's time."""

    id: str
    user: str
    digest: bytes = field(repr=False)
    expires: int
    created: int
    purpose: str


@dataclass(frozen=True, slots=True)
class Revocation:
    """A certificate that was taken back. `fingerprint`: SHA-256, small hexadecimal digits; `at`: the command's time."""

    fingerprint: str
    at: int
    purpose: str


def _all() -> Selector:
    found = parse([SEL_TREE, "/"], DEFAULT)
    assert isinstance(found, Selector)
    return found


EVERYTHING: Final = _all()
NOTHING: Final = Rights(())
_ROOT: Final = Role(ROOT, tuple(Grant(right, EVERYTHING) for right in RIGHTS))


class AuthStore:
    """See the module. `version` rises with each change: whoever keeps rights asks for them again then."""

    def __init__(self, limits: Limits = DEFAULT) -> None:
        self._limits = limits
        self.version = 0
        self.roles: dict[str, Role] = {ROOT: _ROOT}
        self.users: dict[str, User] = {ANONYMOUS: User(ANONYMOUS, (ROOT,))}
        self.tokens: dict[str, Token] = {}
        self.revoked: dict[str, Revocation] = {}
        self.joins = JoinTable()
        self._rights: dict[str, Rights] = {}
        self._rights_of: WeakValueDictionary[tuple[Any, ...], Rights] = WeakValueDictionary()
        """Those of before that are in use: who has the same grants as before has the same rights."""
        self._digest: str | None = None
        self._taken_back: frozenset[str] | None = None
        """The credentials that revoked certificates were; None: to be found."""
        self._tokens_of: dict[str, dict[str, Token]] = {}
        """The tokens of each user, by id."""
        self._none_expires = 0
        """Before that time (ms) no token expires, as far as that was looked for."""
        self._bytes = _size(self.users[ANONYMOUS])

    @classmethod
    def closed(cls, limits: Limits = DEFAULT) -> AuthStore:
        """Return what a member of a cluster that was founded with rights begins with: nobody may do anything.

        The cluster's first entry says who may; applied to this table or to an open one, it leaves the same.
        """
        table = cls(limits)
        table._take(table.users, ANONYMOUS)
        table._put(table.users, ANONYMOUS, User(ANONYMOUS, ()), MAX_USERS, "users")
        return table

    # -- asking -----------------------------------------------------------------------------------------------

    def rights(self, name: str) -> Rights:
        """Return what a user may do: what its roles grant, and what everybody may; nothing where it is unknown."""
        found = self._rights.get(name)
        if found is None:
            user = self.users.get(name)
            if user is None:
                return NOTHING
            found = self._rights[name] = self._granted((*user.roles, *self.users[ANONYMOUS].roles))
        return found

    def _granted(self, roles: Iterable[str]) -> Rights:
        """Return what roles grant together: the same object for the same grants, as long as somebody has it."""
        grants = tuple(self.roles[role].grants for role in dict.fromkeys(roles))
        found = self._rights_of.get(grants)
        if found is None:
            found = self._rights_of[grants] = Rights(itertools.chain.from_iterable(grants))
        return found

    def rights_if_closed(self, name: str) -> Rights:
        """Return what a user could do if `anonymous` had not the role `root`."""
        user, everybody = self.users.get(name), self.users[ANONYMOUS].roles
        own = () if user is None or name == ANONYMOUS else user.roles
        return self._granted((*own, *(role for role in everybody if role != ROOT)))

    def proves(self, credential: str, user: str, now: int) -> bool:
        """Tell whether a credential proves a user at a time in ms."""
        if credential.startswith(CERTIFICATE):  # that it was shown, and is good, doors have judged
            return user in self.users and not self._is_revoked(credential)
        if credential.startswith(PASSWORD):
            known = self.users.get(user)
            return (
                known is not None and known.password is not None and password_of(known.password) == credential
            )
        token = self.tokens.get(credential)
        return token is not None and token.user == user and (token.expires == 0 or now < token.expires)

    def _is_revoked(self, credential: str) -> bool:
        """Tell whether the certificate that this credential names was taken back."""
        if self._taken_back is None:  # asked for each batch of writes, so not looked for among thousands
            self._taken_back = frozenset(map(certified_by, self.revoked))
        return credential in self._taken_back

    def next_expiry(self, now: int) -> int | None:
        """Return when the next token expires that has not yet, in ms; None: none will."""
        return min((token.expires for token in self.tokens.values() if token.expires > now), default=None)

    @property
    def digest(self) -> str:
        """A digest of everything, equal where that is; "" of a table that was never changed."""
        if self._digest is None:
            packed: bytes = msgpack.packb(self.rows()) if self.version else b""
            self._digest = hashlib.blake2b(packed, digest_size=8).hexdigest() if packed else ""
        return self._digest

    @property
    def open(self) -> bool:
        """Whether everybody may do everything."""
        return ROOT in self.users[ANONYMOUS].roles

    # -- changing ---------------------------------------------------------------------------------------------

    def change(
        self, action: Any, arguments: Any, now: int, form: int = FORMAT, author: str = NOBODY
    ) -> Refusal | None:
        """Do one change at the command's time `now` (ms), or return why not.

        `form`: the command's format. `author`: in whose name it is.
        """
        entry = _ACTIONS.get(action) if type(action) is str else None
        if entry is None:
            return bad_request("action", f"one of {', '.join(sorted(_ACTIONS))}", action)
        if form < LATER.get(action, OLDEST):
            return bad_request("action", "one that all members know: one runs an older version", action)
        do, required, optional = entry
        if type(arguments) is not dict or not required <= arguments.keys() <= required | optional.keys():
            expected = f"a map with {', '.join(sorted(required))}"
            more = f" and perhaps {', '.join(sorted(optional))}" if optional else ""
            return bad_request("arguments", expected + more, arguments)
        refused = do(self, {**optional, **arguments, "author": author, "form": form}, now)
        if refused is None:
            self.version += 1
            self._rights.clear()
            self._digest = None
        return refused

    def _set_role(self, fields: Mapping[str, Any], now: int) -> Refusal | None:
        name, rows = fields["name"], fields["grants"]
        wrong = _name("name", name) or fields_of.sequence("grants", rows, MAX_GRANTS)
        if wrong is not None:
            return wrong
        if name == ROOT:
            return bad_request("name", "another role than root, which cannot be changed", name)
        grants: dict[tuple[Any, ...], Grant] = {}
        for row in rows:
            grant = parse_grant(row, self._limits)
            if isinstance(grant, Refusal):
                return grant
            grants[(grant.right, grant.selector.form)] = grant
        role = Role(name, tuple(grants.values()))
        before = self.roles.get(name)
        if before is not None and before.rules and not role.rules:
            roles = {**self.roles, name: role}
            if self._ruled(self.users.values(), self.roles) and not self._ruled(self.users.values(), roles):
                return _locked_out(name)
        return self._put(self.roles, name, role, MAX_ROLES, "roles")

    def _delete_role(self, fields: Mapping[str, Any], now: int) -> Refusal | None:
        name = fields["name"]
        if type(name) is not str or name not in self.roles:
            return _unknown("role", name)
        users = [user.name for user in self.users.values() if name in user.roles]
        if name == ROOT or users:
            why = f"a role that no user has: {', '.join(users[:5])} {'have' if users[1:] else 'has'} it"
            return bad_request("name", why if users else "another role than root", name)
        self._take(self.roles, name)
        return None

    def _set_user(self, fields: Mapping[str, Any], now: int) -> Refusal | None:
        """Make a user, or give it other roles; its password stays, unless there is another one."""
        name, roles, password = fields["name"], fields["roles"], fields["password"]
        wrong = (
            _name("name", name) or fields_of.sequence("roles", roles, MAX_USER_ROLES) or _password(password)
        )
        if wrong is not None:
            return wrong
        for role in roles:
            if type(role) is not str or role not in self.roles:
                return _unknown("role", role)
        if name == ANONYMOUS and password is not None:
            return bad_request("password", "none for anonymous, who proves nothing", "one")
        before = self.users.get(name)
        kept = before.password if before is not None and password is None else password
        user = User(name, tuple(dict.fromkeys(roles)), kept or None)
        return self._locks_out(user, name) or self._put(self.users, name, user, MAX_USERS, "users")

    def _set_password(self, fields: Mapping[str, Any], now: int) -> Refusal | None:
        """Give a user another password, by its digest; None: none any more."""
        name, password = fields["name"], fields["password"]
        if type(name) is not str or name not in self.users or name == ANONYMOUS:
            return _unknown("user", name)
        wrong = _password(password)
        if wrong is not None:
            return wrong
        return self._put(
            self.users, name, replace(self.users[name], password=password or None), MAX_USERS, "users"
        )

    def _delete_user(self, fields: Mapping[str, Any], now: int) -> Refusal | None:
        name = fields["name"]
        if type(name) is not str or name not in self.users:
            return _unknown("user", name)
        if name == ANONYMOUS:
            return bad_request("name", "another user than anonymous: take its roles away", name)
        refused = self._locks_out(None, name)
        if refused is not None:
            return refused
        for token in list(self._tokens_of.get(name, ())):
            self._take_token(token)
        self._take(self.users, name)
        return None

    def _add_token(self, fields: Mapping[str, Any], now: int) -> Refusal | None:
        number, user, digest = fields["id"], fields["user"], fields["digest"]
        ttl, purpose = fields["ttl"], fields["purpose"]
        if type(number) is not str or _TOKEN.fullmatch(number) is None or number in self.tokens:
            return bad_request("id", "8 to 20 small letters and digits that no token has", number)
        if type(user) is not str or user not in self.users or user == ANONYMOUS:
            return _unknown("user", user)
        if type(digest) is not bytes or len(digest) != DIGEST:
            return bad_request("digest", f"{DIGEST} bytes", "something else")
        if type(ttl) is not int or not 0 <= ttl < MAX_TTL:
            return bad_request("ttl", "ms from the command's time on, or 0 for ever", ttl)
        if type(purpose) is not str or len(purpose) > MAX_PURPOSE:
            return bad_request("purpose", refusal.text_of(MAX_PURPOSE), purpose)
        # Each login by a password makes a token: those that have expired must not take the place of the next one.
        expired = self._in_the_way(user, now) if fields.get("form", OLDEST) >= SECRETS else []
        mine = sum(each.user == user for each in expired)
        if len(self._tokens_of.get(user, ())) - mine >= MAX_USER_TOKENS:
            return refusal.too_large("tokens of one user", MAX_USER_TOKENS, MAX_USER_TOKENS + 1)
        for each in expired:
            self._take_token(each.id)
        token = Token(number, user, digest, now + ttl if ttl else 0, now, purpose)
        refused = self._put_token(token)
        if refused is not None:  # what is refused changes nothing
            for each in expired:
                self._put_token(each)
        return refused

    def _in_the_way(self, user: str, now: int) -> list[Token]:
        """Return the tokens that have expired and leave no room for another one of a user."""
        if len(self.tokens) < MAX_TOKENS:
            mine = self._tokens_of.get(user, {})
            return [] if len(mine) < MAX_USER_TOKENS else _expired(mine.values(), now)
        if now < self._none_expires:  # somebody tries again and again: all are not looked at each time
            return []
        expired = _expired(self.tokens.values(), now)
        if not expired:
            self._none_expires = self.next_expiry(now) or MAX_INT
        return expired

    def _revoke_token(self, fields: Mapping[str, Any], now: int) -> Refusal | None:
        number = fields["id"]
        if type(number) is not str or number not in self.tokens:
            return _unknown("token", number)
        self._take_token(number)
        return None

    def _revoke_certificate(self, fields: Mapping[str, Any], now: int) -> Refusal | None:
        wrong = _fingerprint(fields["fingerprint"])
        purpose = fields["purpose"]
        if wrong is not None:
            return wrong
        if type(purpose) is not str or len(purpose) > MAX_PURPOSE:
            return bad_request("purpose", refusal.text_of(MAX_PURPOSE), purpose)
        row = Revocation(fields["fingerprint"], now, purpose)
        self._taken_back = None
        return self._put(self.revoked, row.fingerprint, row, MAX_REVOKED, "revoked certificates")

    def _allow_certificate(self, fields: Mapping[str, Any], now: int) -> Refusal | None:
        fingerprint = fields["fingerprint"]
        if type(fingerprint) is not str or fingerprint not in self.revoked:
            return bad_request("fingerprint", "one of a certificate that was revoked", fingerprint)
        self._take(self.revoked, fingerprint)
        self._taken_back = None
        return None

    def _locks_out(self, user: User | None, name: str) -> Refusal | None:
        """Refuse what would leave nobody with admin on everything: `user` is what `name` is to become."""
        before = self.users.get(name)
        if before is None or not self._ruled((before,), self.roles):
            return None
        after = [each for each in self.users.values() if each.name != name]
        if user is not None:
            after.append(user)
        if not self._ruled(after, self.roles):
            return _locked_out(name)
        return None

    @staticmethod
    def _ruled(users: Iterable[User], roles: Mapping[str, Role]) -> bool:
        """Tell whether somebody has admin on everything."""
        return any(roles[role].rules for user in users for role in user.roles)

    # -- keeping ----------------------------------------------------------------------------------------------

    def rows(self) -> dict[str, Any]:
        """Return everything as plain rows, in an order that only the content decides.

        What came with a later format is only there where something is in it: members of before compare digests.
        """
        revoked = sorted(self.revoked.values(), key=lambda row: row.fingerprint)
        later = {
            "revoked": [[row.fingerprint, row.at, row.purpose] for row in revoked],
            "joins": self.joins.rows(),
        }
        return {
            "version": self.version,
            "roles": [
                [role.name, [grant.row for grant in role.grants]]
                for role in sorted(self.roles.values(), key=lambda role: role.name)
                if role.name != ROOT
            ],
            "users": [
                [user.name, list(user.roles), user.password]
                for user in sorted(self.users.values(), key=lambda user: user.name)
            ],
            "tokens": [
                [token.id, token.user, token.digest, token.expires, token.created, token.purpose]
                for token in sorted(self.tokens.values(), key=lambda token: token.id)
            ],
            **{name: rows for name, rows in later.items() if rows},
        }

    @classmethod
    def of(cls, rows: Mapping[str, Any], limits: Limits = DEFAULT) -> AuthStore:
        """Return the table that has these rows; ValueError when they cannot be such."""
        table = cls(limits)
        for name, grants in rows["roles"]:
            table._must(table._set_role({"name": name, "grants": grants}, 0))
        table._take(table.users, ANONYMOUS)
        for name, roles, password in rows["users"]:
            table._must(table._set_user({"name": name, "roles": roles, "password": password}, 0))
        for number, user, digest, expires, created, purpose in rows["tokens"]:
            ttl = expires - created if expires else 0
            token = {"id": number, "user": user, "digest": digest, "ttl": ttl, "purpose": purpose}
            table._must(table._add_token(token, created))
        for fingerprint, at, purpose in rows.get("revoked", ()):
            row = {"fingerprint": fingerprint, "purpose": purpose}
            table._must(table._revoke_certificate(row, at))
        table.joins.take(rows.get("joins", []))
        if ANONYMOUS not in table.users:
            raise ValueError("there is no anonymous user")
        table.version, table._digest = rows["version"], None
        return table

    @staticmethod
    def _must(refused: Refusal | None) -> None:
        if refused is not None:
            raise ValueError(refused.text)

    # -- bounds -----------------------------------------------------------------------------------------------

    def _put(self, rows: dict[str, Any], key: str, row: Any, most: int, what: str) -> Refusal | None:
        if key not in rows and len(rows) >= most:
            return refusal.too_large(what, most, len(rows) + 1)
        size = self._bytes + _size(row) - _size(rows.get(key))
        if size > MAX_BYTES:
            return refusal.too_large("all roles, users and tokens", MAX_BYTES, size)
        self._bytes = size
        rows[key] = row
        return None

    def _put_token(self, token: Token) -> Refusal | None:
        refused = self._put(self.tokens, token.id, token, MAX_TOKENS, "tokens")
        if refused is None:
            self._tokens_of.setdefault(token.user, {})[token.id] = token
            self._none_expires = 0
        return refused

    def _take_token(self, number: str) -> None:
        mine = self._tokens_of[self.tokens[number].user]
        del mine[number]
        if not mine:
            del self._tokens_of[self.tokens[number].user]
        self._take(self.tokens, number)

    def _take(self, rows: dict[str, Any], key: str) -> None:
        self._bytes -= _size(rows.pop(key))


def _size(row: Any) -> int:
    """Return about what a row takes in a checkpoint."""
    if isinstance(row, Role):
        return len(row.name) + sum(16 + len(str(grant.selector.form)) for grant in row.grants)
    if isinstance(row, User):
        return len(row.name) + sum(map(len, row.roles)) + len(row.password or "")
    if isinstance(row, Revocation):
        return len(row.fingerprint) + 8 + len(row.purpose)
    return 0 if row is None else len(row.id) + len(row.user) + DIGEST + 20 + len(row.purpose)


def _expired(tokens: Iterable[Token], now: int) -> list[Token]:
    return [token for token in tokens if 0 < token.expires <= now]


def _name(what: str, content: Any) -> Refusal | None:
    if type(content) is str and is_name(content):
        return None
    return bad_request(what, f"1 to {MAX_NAME} letters, digits and . _ @ - between them", content)


def _fingerprint(content: Any) -> Refusal | None:
    if type(content) is str and _FINGERPRINT.fullmatch(content):
        return None
    return bad_request("fingerprint", "SHA-256 of a certificate, 64 small hexadecimal digits", content)


def _password(content: Any) -> Refusal | None:
    if content is None or (type(content) is str and len(content) <= MAX_PASSWORD and content.isascii()):
        return None
    return bad_request(
        "password", f"the digest of one, of at most {MAX_PASSWORD} characters", "something else"
    )


def _locked_out(name: str) -> Refusal:
    return bad_request("name", "a change that leaves somebody with admin on everything", name)


def _unknown(what: str, content: Any) -> Refusal:
    return bad_request(what, f"a {what} that there is", content)


_Action = Callable[[AuthStore, Mapping[str, Any], int], Refusal | None]
_ACTIONS: Final[dict[str, tuple[_Action, frozenset[str], dict[str, Any]]]] = {
    "set_role": (AuthStore._set_role, frozenset(("name", "grants")), {}),
    "delete_role": (AuthStore._delete_role, frozenset(("name",)), {}),
    "set_user": (AuthStore._set_user, frozenset(("name", "roles")), {"password": None}),
    "set_password": (AuthStore._set_password, frozenset(("name", "password")), {}),
    "delete_user": (AuthStore._delete_user, frozenset(("name",)), {}),
    "add_token": (AuthStore._add_token, frozenset(("id", "user", "digest")), {"ttl": 0, "purpose": ""}),
    "revoke_token": (AuthStore._revoke_token, frozenset(("id",)), {}),
    "revoke_certificate": (AuthStore._revoke_certificate, frozenset(("fingerprint",)), {"purpose": ""}),
    "allow_certificate": (AuthStore._allow_certificate, frozenset(("fingerprint",)), {}),
    "add_join": (
        lambda store, fields, now: store.joins.add(fields, now),
        frozenset(("id", "digest")),
        {"name": "", "hosts": [], "learner": False, "ttl": DEFAULT_TTL},
    ),
    "revoke_join": (lambda store, fields, now: store.joins.revoke(fields, now), frozenset(("id",)), {}),
    "use_join": (
        lambda store, fields, now: store.joins.use(fields, now),
        frozenset(("id", "member", "key")),
        {},
    ),
}
"""What each does, the arguments that it needs, and those that may be left out with their defaults."""
LATER: Final[dict[str, int]] = dict.fromkeys(
    ("set_password", "revoke_certificate", "allow_certificate", "add_join", "revoke_join", "use_join"),
    SECRETS,
)
"""The format that an action came with, where that is later than RIGHTS."""
