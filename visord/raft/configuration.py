"""Who the members of a cluster are: an immutable record that travels as a log entry.

A change makes a new `Configuration` from the newest one, adds, promotes, updates or removes **one** member, and is
proposed as an entry. It counts from the moment a node has it in its log (Raft, chapter 4.1); two configurations that
follow each other differ in at most one voter, so that their majorities always share a node.

    [a: voter]  --add b-->  [a, b: learner]  --promote b-->  [a, b]  --remove a-->  [b], a is in `removed` for ever
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Final, NamedTuple

import msgpack

from visord.naming import not_a_name, not_an_address, not_an_id

FIRST_BYTE: Final = b"\x02"
"""First byte of a configuration's entry: pysyncobj's sign of a membership command."""
FORMAT: Final = 1
MAX_MEMBERS: Final = 64


class ConfigurationError(Exception):
    """A change that cannot be made; the text says why, `code` in the protocol's word, `details` the numbers."""

    def __init__(self, text: str, code: str = "bad_request", /, **details: Any) -> None:
        super().__init__(text)
        self.code = code
        self.details = details


class UnknownConfiguration(Exception):  # noqa: N818 - the name says what it is
    """A configuration in a format that this version does not know: the node must stop, not guess."""


class Member(NamedTuple):
    """One member. `peer` and `client` are the addresses that others and clients use (HOST:PORT)."""

    id: str
    name: str
    peer: str
    client: str
    voter: bool
    wants_vote: bool = True
    """A learner that is promoted by itself once it has caught up."""


class Configuration(NamedTuple):
    """All members by id, and the ids that may never come back."""

    members: tuple[Member, ...] = ()
    removed: tuple[str, ...] = ()
    newcomers: tuple[str, ...] = ()
    """Learners that have not answered any leader since they were added (`members/newcomers.py`), sorted. An earlier
    version does not know them, and leaves them out when it changes the members: then they count as known."""

    def find(self, member: str) -> Member | None:
        """Return the member with this id, or else the only one with this name."""
        for one in self.members:
            if one.id == member:
                return one
        named = [one for one in self.members if one.name == member]
        return named[0] if len(named) == 1 else None

    def named(self, member: str) -> str:
        """Return what to call the member with this id where people read it: its name and the id, or the id alone."""
        return next((f"{one.name} ({one.id})" for one in self.members if one.id == member), member)

    @property
    def clients(self) -> list[str]:
        """Where clients find the members: those that vote; learners only where clients would find nobody else."""
        found = [one for one in self.members if one.client]
        return [one.client for one in found if one.voter] or [one.client for one in found]

    @property
    def voters(self) -> list[str]:
        """The ids of those who vote, sorted."""
        return sorted(one.id for one in self.members if one.voter)

    @property
    def learners(self) -> list[str]:
        """The ids of those who only listen, sorted."""
        return sorted(one.id for one in self.members if not one.voter)

    def require(self, member: str) -> Member:
        """Return the member with this id or name. Raises `ConfigurationError`."""
        found = self.find(member)
        if found is None:
            known = ", ".join(f"{one.name} ({one.id})" for one in self.members)
            text = f"there is no member {member!r}, only {known}"
            raise ConfigurationError(text, "no_member", member=member)
        return found

    def add(self, member: Member) -> Configuration:
        """Return the configuration with a new learner; the same one if it is there already, as it is.

        Names and addresses must be such as settings may have.
        """
        _require(not_an_id(member.id), member.id)
        _require(not_a_name(member.name), member.name)
        _check_addresses(member.peer, member.client)
        if member.id in self.removed:
            raise ConfigurationError(
                f"{member.id} was removed and can never return: give the node an empty data directory",
                member=member.id,
            )
        known = self.find(member.id)
        if known is not None and known.id == member.id:
            if known.voter and (known.peer, known.client) != (member.peer, member.client):
                raise ConfigurationError(
                    f"{known.name} ({known.id}) has a vote: it changes its addresses itself, without joining",
                    member=known.id,
                )
            return self.update(member.id, member.peer, member.client)
        for one in self.members:
            if one.name == member.name or one.peer == member.peer:
                raise ConfigurationError(
                    f"the member {one.name} ({one.id}) at {one.peer} has that name or address: remove it first, "
                    "or choose another",
                    member=one.id,
                )
        if len(self.members) >= MAX_MEMBERS:
            raise ConfigurationError(f"a cluster has at most {MAX_MEMBERS} members", limit=MAX_MEMBERS)
        newcomers = tuple(sorted((*self.newcomers, member.id)))
        return self._with([*self.members, member._replace(voter=False)])._replace(newcomers=newcomers)

    def promote(self, member: str) -> Configuration:
        """Return the configuration in which a learner votes."""
        found = self.require(member)
        return self.prove([found.id])._replaced(found._replace(voter=True, wants_vote=False))

    def prove(self, members: Collection[str]) -> Configuration:
        """Return the configuration in which these are no newcomers any more: they have answered."""
        return self._replace(newcomers=tuple(one for one in self.newcomers if one not in members))

    def forget(self, member: str) -> Configuration:
        """Return the configuration without a newcomer, whose id may come again."""
        if member not in self.newcomers:
            raise ConfigurationError(f"{member} is no newcomer", member=member)
        rest = tuple(one for one in self.members if one.id != member)
        return self.prove([member])._replace(members=rest)

    def update(self, member: str, peer: str, client: str) -> Configuration:
        """Return the configuration with other addresses of one member.

        A learner cannot take the address of another one. Voters can, for a while: two may exchange theirs.
        """
        _check_addresses(peer, client)
        found = self.require(member)
        for one in self.members:
            if one.peer == peer and one.id != found.id and not found.voter:
                raise ConfigurationError(
                    f"{one.name} ({one.id}) has the address {peer}: remove it first, or choose another",
                    member=one.id,
                )
        return self._replaced(found._replace(peer=peer, client=client))

    def remove(self, member: str) -> Configuration:
        """Return the configuration without a member, whose id is never used again."""
        found = self.require(member)
        if found.voter and len(self.voters) == 1:
            raise ConfigurationError(
                f"{found.name} ({found.id}) is the only voter: a cluster needs one", "unsafe", voters=1
            )
        rest = [one for one in self.members if one.id != found.id]
        return self.prove([found.id])._replace(members=tuple(rest), removed=(*self.removed, found.id))

    def _replaced(self, member: Member) -> Configuration:
        return self._with([member if one.id == member.id else one for one in self.members])

    def _with(self, members: list[Member]) -> Configuration:
        return self._replace(members=tuple(sorted(members)))


def _require(wrong: str | None, value: object) -> None:
    if wrong is not None:
        raise ConfigurationError(f"{value!r:.80}: {wrong}")


def _check_addresses(peer: str, client: str) -> None:
    _require(not_an_address(peer), peer)
    if client:  # "": clients cannot find it
        _require(not_an_address(client), client)


def encode(configuration: Configuration) -> bytes:
    """Return the configuration as the bytes of an entry."""
    content = [FORMAT, [list(one) for one in configuration.members], list(configuration.removed)]
    if configuration.newcomers:
        content.append(list(configuration.newcomers))
    return FIRST_BYTE + bytes(msgpack.packb(content))


def decode(entry: bytes) -> Configuration:
    """Return what `encode` packed. Raises `UnknownConfiguration` for anything else."""
    try:
        content = msgpack.unpackb(entry[1:])
        version = content[0]
        if version == FORMAT:
            members = tuple(sorted(_member(fields) for fields in content[1]))
            removed = tuple(content[2])
            newcomers = tuple(content[3]) if len(content) > 3 else ()
            if not all(type(one) is str for one in (*removed, *newcomers)):
                raise ValueError("an id is no text")
            return Configuration(members, removed, newcomers)
    except Exception as error:
        raise UnknownConfiguration(f"an entry that should be a configuration is not: {error}") from error
    raise UnknownConfiguration(
        f"a configuration has format {version!r}; this version of visord knows {FORMAT}"
    )


def _member(fields: list[Any]) -> Member:
    member = Member(*fields)
    texts = member[:4]
    if not all(type(one) is str for one in texts) or type(member.voter) is not bool:
        raise ValueError(f"no member: {fields!r:.200}")
    return member


def check_quorum(after: Configuration, reachable: set[str]) -> None:
    """Refuse a change after which fewer voters than a majority would be reachable (the leader counts itself)."""
    voters = after.voters
    alive = [one for one in voters if one in reachable]
    need = len(voters) // 2 + 1
    if len(alive) < need:
        raise ConfigurationError(
            f"refused: afterwards there would be {len(voters)} voters, {need} are needed to decide anything, and "
            f"only {len(alive)} can be reached now",
            "unsafe",
            voters=len(voters),
            needed=need,
            reachable=len(alive),
        )
