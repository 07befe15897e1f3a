"""What operators ask of a cluster: `client.admin`.

    membership = await client.admin.members()
    await client.admin.transfer("n2")
    survey = await client.admin.survey()
    print(survey.healthy, survey.problems)

Any member takes these requests and passes them to the leader. All of them may be repeated.
"""

# ruff: noqa: ASYNC109  # the deadline of a call is part of the API, and kept without a task
from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol

from visor._core.address import Address, parse
from visor._core.backoff import in_seconds, whole_of
from visor._core.call import no_time
from visor._core.public import public
from visor._core.token import may_be_told
from visor.errors import DeadlineExceeded, NoQuorum, Unsettled, VisorError
from visor.members import (
    Comparison,
    Given,
    Member,
    Membership,
    Report,
    Status,
    Survey,
    comparison_from_wire,
    membership_from_wire,
)
from visor.protocol import verbs

if TYPE_CHECKING:
    from visor.aio._channel import Channel

PROBE_SECONDS = 3.0
HASH_SECONDS = 300.0
"""A large state takes its time: it is read beside everything else."""


class Asks(Protocol):
    """A client, as far as it is asked here of the cluster."""

    channel: Channel[Any]

    async def connect(self, *, timeout: float | None = None) -> None:
        """Make sure that there is a connection."""

    async def status(self, *, timeout: float | None = None) -> Status:
        """Return what the node tells of itself."""

    async def close(self) -> None:
        """End it."""


class Admin:
    """The operators' side of a client. Methods take a member's id or name, and raise what the client's do."""

    def __init__(self, client: Asks) -> None:
        self._client = client
        self._channel = client.channel

    async def members(self, *, stale: bool = False, timeout: float | None = None) -> Membership:
        """Return who belongs to the cluster, as the leader knows it.

        `stale` asks only the node that the client is connected to: that works without a leader. NoQuorum without one.
        """
        message = [verbs.MEMBERS, 0, int(stale)]
        return membership_from_wire(await self._channel.call(message, False, timeout))

    async def promote(self, member: str, *, timeout: float | None = None) -> Membership:
        """Give a learner a vote. Unsafe while it lacks too much, NoMember when there is none."""
        return membership_from_wire(await self._do("promote", member, timeout))

    async def remove(self, member: str, *, timeout: float | None = None) -> Membership:
        """Take a member out for ever: its id never returns.

        Unsafe when no majority of the rest could be reached, NoMember when there is none of that id or name.
        """
        # By id: when it has to be asked again, after a lost answer, there is nobody of that name any more.
        known = (await self.members(timeout=timeout)).find(member)
        return membership_from_wire(await self._do("remove", known.id if known else member, timeout))

    async def transfer(self, member: str | None = None, *, timeout: float | None = None) -> Membership:
        """Hand leadership to this voter, or to the one that has most of the log."""
        return membership_from_wire(await self._do("transfer", member, timeout))

    async def compare(self, rev: int | None = None, *, timeout: float = HASH_SECONDS) -> Comparison:
        """Compare all replicas at `rev` (default: the latest). Members that differ stop serving."""
        return comparison_from_wire(await self._do("hash", rev, timeout))

    async def survey(self, *, timeout: float = PROBE_SECONDS) -> Survey:
        """Ask every member by itself how it is, and who else is at the addresses given; `timeout` is for each."""
        timeout = in_seconds(timeout)
        try:
            membership = await self.members(timeout=max(timeout, PROBE_SECONDS) + 1)
        except (NoQuorum, DeadlineExceeded):
            membership = await self.members(stale=True, timeout=timeout)
        reports = []
        for member in membership.members:
            reports.append(await self._ask_one(member, membership.cluster, timeout))
        known = {self._channel.driver.address, *(member.client for member in membership.members)}
        given = []
        for address in self._channel.settings.addresses:
            if str(address) not in known:
                given.append(await self._ask_given(address, timeout))
        return Survey(membership, tuple(reports), tuple(given))

    async def _ask_given(self, address: Address, timeout: float) -> Given:
        """Ask who is at an address that no member advertises: it may be another cluster's."""
        try:
            status = await self._status_at((address,), timeout)
        except VisorError as error:
            return Given(str(address), problem=f"no answer: {error}")
        members = status.get("members")
        count = len(members) if isinstance(members, list) else 0
        node, cluster, member = (status.get(name) for name in ("node", "cluster", "member"))
        return Given(str(address), str(cluster), str(node), str(member), count)

    async def _ask_one(self, member: Member, cluster: str, timeout: float) -> Report:
        client = self._client
        if member.answers:  # by the connection that there is: it may be the only way, as a Unix socket is
            status = (await client.status(timeout=timeout)).told
            if status.get("member") == member.id:
                return Report(member, status)
        if not member.client:
            return Report(member, None, "it advertises no address for clients")
        try:
            status = await self._status_at(parse(member.client), timeout)
        except VisorError as error:
            return Report(member, None, f"no answer at {member.client}: {error}")
        if (status.get("cluster"), status.get("member")) != (cluster, member.id):
            return Report(member, None, f"somebody else answers at {member.client}: {status.get('node')}")
        return Report(member, status)

    async def _status_at(self, addresses: tuple[Address, ...], timeout: float) -> dict[str, Any]:
        """Return the status of the node at these addresses, by a connection of its own."""
        client = self._client
        mine = client.channel.settings
        guesses = [(one, one not in mine.addresses) for one in addresses]
        safe = all(may_be_told(one, guess=guess, tls=mine.tls) for one, guess in guesses)
        settings = replace(
            mine,
            addresses=addresses,
            token=mine.token if safe else None,
            discover=False,
            persistent=False,
            connect_timeout=timeout,
            on_request=None,
            on_reconnect=None,
        )
        make: Any = type(client)  # of the same colour
        probe: Asks = make(settings, client.channel.codec)
        try:
            await probe.connect(timeout=timeout)
            return dict((await probe.status(timeout=timeout)).told)
        finally:
            await probe.close()

    async def _do(self, action: str, argument: object, timeout: float | None) -> dict[str, Any]:
        message = [verbs.ADMIN, 0, action, [argument]]
        if timeout is not None and not in_seconds(timeout):
            raise no_time(whole_of(timeout, 0.0))
        try:
            answer: dict[str, Any] = await self._channel.call(message, False, timeout)
        except DeadlineExceeded as error:
            raise Unsettled(f"{action}: {error}; it may still happen") from error
        return answer

    def __repr__(self) -> str:
        return f"<visor admin of {self._client!r}>"


public("visor.aio", Admin)
