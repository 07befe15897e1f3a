"""Tokens that let a machine become a member, once: replicated, with digests of their secrets alone.

    add     id, digest, name, hosts, learner, ttl     by who has admin on everything
    revoke  id
    use     id, member, key                   by the leader alone, in nobody's name: no client and no member can say it

What is used stays in the table for a day, with the member and the key that it was used for: a repeated question, of the
same key, is answered as the first one, and everybody else is told that it was used. And a member is only taken in as
long as it is there: a certificate alone makes nobody one. At most `MAX_JOINS` are
there; those that have expired fall away whenever the table changes, and one that was used gives its place.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

from visord.state import fields as fields_of
from visord.state import refusal
from visord.state.auth.principal import ANONYMOUS, NOBODY, user_of
from visord.state.refusal import Refusal, bad_request

MAX_JOINS: Final = 64
MAX_TTL: Final = 24 * 3_600_000
"""ms that a token may last: a day."""
DEFAULT_TTL: Final = 3_600_000
"""An hour."""
MAX_HOSTS: Final = 16
MAX_HOST: Final = 253
DIGEST: Final = 32
"""Bytes of a digest of a secret, and of a key (SHA-256)."""
_ADDED: Final = ("id", "digest", "name", "hosts", "learner", "ttl")
_ID: Final = re.compile(r"[a-z0-9]{8,20}")
_MEMBER: Final = re.compile(r"[0-9a-f]{16}")
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_HOST: Final = re.compile(r"[a-z0-9:.-]+")


@dataclass(frozen=True, slots=True)
class JoinRow:
    """What lets one machine become a member. `expires`, `created`: ms since 1970, by the commands' time."""

    id: str
    digest: bytes = field(repr=False)
    name: str
    """What the member is called; "": as it likes."""
    hosts: tuple[str, ...]
    """To which its certificate may be made out; none: to those that no other member has."""
    learner: bool
    """The member gets no vote by itself."""
    expires: int
    created: int
    by: str
    """The user who made it."""
    member: str = ""
    """Whom it was used for; "": for nobody yet."""
    key: bytes = b""
    """The digest of the key that it was used for."""

    @property
    def row(self) -> list[Any]:
        """The token as it is kept."""
        named = [self.id, self.digest, self.name, list(self.hosts), self.learner]
        return [*named, self.expires, self.created, self.by, self.member, self.key]


class JoinTable:
    """See the module. A mapping from ids would be all of it, were it not bounded."""

    def __init__(self) -> None:
        self._tokens: dict[str, JoinRow] = {}

    def find(self, number: str) -> JoinRow | None:
        """Return the token with an id, also one that has expired."""
        return self._tokens.get(number)

    def used_for(self, member: str) -> JoinRow | None:
        """Return the token that was used for a member, as long as it is there."""
        return next((token for token in self._tokens.values() if token.member == member), None)

    def __iter__(self) -> Iterator[JoinRow]:
        return iter(sorted(self._tokens.values(), key=lambda token: (token.created, token.id)))

    def __len__(self) -> int:
        return len(self._tokens)

    def add(self, fields: Mapping[str, Any], now: int) -> Refusal | None:
        """Take in a token, or return why not."""
        number, digest, name, hosts, learner, ttl = (fields[key] for key in _ADDED)
        if type(number) is not str or not _ID.fullmatch(number) or number in self._tokens:
            return bad_request("id", "8 to 20 small letters and digits that no token to join has", number)
        if type(digest) is not bytes or len(digest) != DIGEST:
            return bad_request("digest", f"{DIGEST} bytes", "something else")
        if type(name) is not str or (name and not _NAME.fullmatch(name)):
            return bad_request("name", "the name of a member, or an empty text", name)
        wrong = fields_of.sequence("hosts", hosts, MAX_HOSTS)
        if wrong is not None:
            return wrong
        for host in hosts:
            if type(host) is not str or len(host) > MAX_HOST or not _HOST.fullmatch(host):
                return bad_request("hosts", "names of hosts in small letters, or addresses", host)
        if type(learner) is not bool:
            return bad_request("learner", "true or false", learner)
        if type(ttl) is not int or not 0 < ttl <= MAX_TTL:
            return bad_request("ttl", f"1 to {MAX_TTL} ms", ttl)
        self._expire(now)
        if len(self._tokens) >= MAX_JOINS:
            used = next((token.id for token in self if token.member), None)
            if used is None:
                return refusal.too_large("tokens to join", MAX_JOINS, MAX_JOINS + 1)
            del self._tokens[used]
        by = user_of(fields["author"]) or ANONYMOUS
        named = tuple(dict.fromkeys(hosts))
        self._tokens[number] = JoinRow(number, digest, name, named, learner, now + ttl, now, by)
        return None

    def revoke(self, fields: Mapping[str, Any], now: int) -> Refusal | None:
        """Take a token back."""
        number = fields["id"]
        if type(number) is not str or number not in self._tokens:
            return _unknown(number)
        del self._tokens[number]
        self._expire(now)
        return None

    def use(self, fields: Mapping[str, Any], now: int) -> Refusal | None:
        """Note whom a token is used for, if that may be: once, in time, and only by the cluster itself."""
        number, member, key = fields["id"], fields["member"], fields["key"]
        if fields["author"] != NOBODY:
            return bad_request("action", "one that clients may ask for", "use_join")
        if type(member) is not str or not _MEMBER.fullmatch(member):
            return bad_request("member", "16 hexadecimal digits", member)
        if type(key) is not bytes or len(key) != DIGEST:
            return bad_request("key", f"{DIGEST} bytes", "something else")
        token = self._tokens.get(number) if type(number) is str else None
        if token is None:
            return _unknown(number)
        why = self.unusable(token, member, key, now)
        if why:
            return bad_request("id", f"a token to join that can be used: {why}", number)
        expires = max(token.expires, now + MAX_TTL)
        self._tokens[token.id] = replace(token, member=member, key=key, expires=expires)
        return None

    @staticmethod
    def unusable(token: JoinRow, member: str, key: bytes, now: int) -> str:
        """Return why a token cannot be used for a member and its key at a time; "" when it can."""
        if token.expires <= now:
            return f"it expired {(now - token.expires) // 1000} s ago; make another one"
        if token.member and (token.member, token.key) != (member, key):
            return f"it was used by member {token.member}; make another one"
        return ""

    def _expire(self, now: int) -> None:
        for number in [token.id for token in self._tokens.values() if token.expires <= now]:
            del self._tokens[number]

    def rows(self) -> list[list[Any]]:
        """Return everything as plain rows, in an order that only the content decides."""
        return [token.row for token in sorted(self._tokens.values(), key=lambda token: token.id)]

    def take(self, rows: list[list[Any]]) -> None:
        """Have these rows. ValueError when they cannot be such."""
        if len(rows) > MAX_JOINS:
            raise ValueError(f"there are {len(rows)} tokens to join, more than {MAX_JOINS}")
        for number, digest, name, hosts, learner, expires, created, by, member, key in rows:
            self._tokens[number] = JoinRow(
                number, digest, name, tuple(hosts), learner, expires, created, by, member, key
            )


def _unknown(number: Any) -> Refusal:
    return bad_request("id", "a token to join that there is", number)
