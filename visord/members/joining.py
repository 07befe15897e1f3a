"""How a node comes to its cluster: it founds one, it asks to be taken in, or it has belonged for long.

a new directory, --bootstrap      founds a cluster of one
a new directory, --join A,B,...   asks A (or B ...) which cluster that is, opens the directory with its id, then
                                  asks to be added until a leader has done it
a known directory                 goes on as it was, and says so; --join is only used while the node does not find
                                  itself among the members that it knows: the one that took it in says who may lead it
                                  (`proof`).
                                  Where --join names members of another cluster, that is a warning (`compare`)
a new directory and neither       refused: founding a second cluster by mistake is worse than not starting
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

from visor.protocol import codes
from visord.logs import about
from visord.members.actions import is_view
from visord.peers import messages as msg
from visord.peers.errors import AnswerLostError, PeerRefusedError, PeerUnavailableError
from visord.peers.handshake import Hello
from visord.raft.configuration import Member
from visord.storage.directory import read_identity
from visord.storage.disk import Disk

logger = logging.getLogger("visord.joining")

ASK_SECONDS: Final = 12.0
PAUSE_SECONDS: Final = 0.5
"""Before all addresses are asked again."""


class JoinRefusedError(Exception):
    """The cluster does not take this node in; the text says why."""


class NoClusterError(Exception):
    """A new directory, and nothing said whether to found a cluster or to join one."""


CLUSTER: Final = "cluster"
"""The code of a refusal between members of two clusters."""


@dataclass(frozen=True, slots=True)
class Start:
    """What the operator said of the cluster."""

    bootstrap: bool = False
    join: tuple[str, ...] = ()
    """Peer addresses of members."""
    learner: bool = False
    """Join without ever getting a vote by itself."""


@dataclass(frozen=True, slots=True)
class Reach:
    """How a node that is no member yet reaches others, and how it waits: the simulation brings its own."""

    own: str
    """Its own peer address, which it never asks."""
    ask: Callable[[str, bytes, float], Awaitable[list[Any]]]
    """`ask(address, message, seconds)` returns the answer; raises what `peers.asking.ask` does."""
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep


class Vouched(Protocol):
    """What of `Proof` is used."""

    @property
    def joining(self) -> bool: ...


class Gate(Protocol):
    """What of the gate is used."""

    def meet(self, members: list[dict[str, Any]], /) -> None: ...


class Home(Protocol):
    """What of the data directory is used."""

    @property
    def path(self) -> str: ...


class Node(Protocol):
    """What of the node is used."""

    @property
    def me(self) -> Member: ...

    @property
    def name(self) -> str: ...

    @property
    def cluster(self) -> str: ...

    @property
    def directory(self) -> Home: ...

    @property
    def proof(self) -> Vouched: ...

    @property
    def gate(self) -> Gate: ...


def is_its_own(hello: Hello, message: list[Any]) -> bool:
    """Tell whether a question is about the node that asks it: what that one proved must not take another in."""
    return message[0] != msg.JOIN or (
        msg.well_formed(message) and (hello.member, hello.address) == (message[1], message[3])
    )


async def cluster_to_join(
    start: Start, disk: Disk, path: str, reach: Reach, prepare: Callable[[], object] = lambda: None
) -> str | None:
    """Return the id of the cluster that a new directory joins; None when the directory (or the founder) says it.

    Asks until one of them answers, and calls `prepare` before each round. Raises `NoClusterError`.
    """
    if disk.exists(path) and read_identity(disk, path) is not None:
        return None
    if start.bootstrap:
        return None
    if not start.join:
        raise NoClusterError(
            f"{path} is new: --bootstrap founds a cluster there, --join HOST:PORT joins the one of that member"
        )
    if all(address == reach.own for address in start.join):
        raise NoClusterError(
            f"{path} is new, and --join {start.join[0]} is this node's own address: name another's"
        )
    answer = await _ask_any(reach, start.join, (msg.WHO,), prepare)
    while answer[0] != msg.IS:
        logger.warning("an answer that is none to the question for the cluster's id")
        await reach.sleep(PAUSE_SECONDS)
        answer = await _ask_any(reach, start.join, (msg.WHO,), prepare)
    return str(answer[1])


async def join(start: Start, node: Node, reach: Reach) -> None:
    """Ask to be taken in until the node is a member. Raises `JoinRefusedError`."""
    me = node.me
    if all(address == reach.own for address in start.join):
        raise JoinRefusedError(f"--join {start.join[0]} is this node's own address: name another member's")
    request = (msg.JOIN, me.id, me.name, me.peer, me.client, not start.learner)
    members = deque(start.join)
    while node.proof.joining:
        answer = await _ask_any(reach, members, request)
        if answer[0] != msg.JOINED or (answer[1] and not is_view(answer[2])):
            logger.warning("an answer that is none to the question for membership")
            await reach.sleep(PAUSE_SECONDS)
            continue
        if answer[1] is True:
            node.gate.meet(answer[2]["members"])
            await reach.sleep(PAUSE_SECONDS)
            continue
        code, text, _ = answer[2]
        if codes.FAMILY.get(code) == codes.REJECTED:
            raise JoinRefusedError(f"the cluster does not take {me.name} ({me.id}) in: {text}")
        logger.warning("not taken in yet: %s", text, extra=about(code=code))
        members.rotate(-1)  # this one may be cut off from the others


def tell_unused(start: Start, node: Node) -> None:
    """Say that a directory which has belonged to a cluster for long goes on there, whatever the operator said."""
    where = f"{node.directory.path} is {node.name} ({node.me.id}) of cluster {node.cluster} already"
    known = about(member=node.name, member_id=node.me.id, cluster=node.cluster)
    if start.bootstrap:
        advice = "start it without: with an emptied disk it would found a second cluster"
        logger.warning("--bootstrap is not used: %s; %s", where, advice, extra=known)
    elif start.join and not node.proof.joining:
        logger.info("--join is not used: %s", where, extra=known)


async def compare(start: Start, node: Node, reach: Reach) -> None:
    """Ask all that --join names which cluster they are of, once, and warn of those of another one."""
    for address in start.join:
        if address == reach.own:
            continue
        try:
            answer = await reach.ask(address, msg.pack([msg.WHO]), ASK_SECONDS)
        except PeerRefusedError as error:
            found = error.text if error.code == CLUSTER else ""
        except (PeerUnavailableError, AnswerLostError):
            continue  # it is away, which is no news
        else:
            other = msg.well_formed(answer) and answer[0] == msg.IS and answer[1] != node.cluster
            found = f"it is of {answer[1]}" if other else ""
        if found:
            logger.warning(
                "--join %s is not used, and is of another cluster: this directory is %s (%s) of cluster %s; there: %s",
                address, node.name, node.me.id, node.cluster, found, extra=about(address=address),
            )  # fmt: skip


def _hint(error: Exception) -> str:
    """What an operator can do about it."""
    cause = error if isinstance(error, PeerRefusedError) else error.__cause__
    if not isinstance(cause, PeerRefusedError) or cause.code != "secret":
        return ""
    return "; set peers.secret_file to that cluster's secret: a copy of `peers-secret` in a member's data directory"


async def _ask_any(
    reach: Reach,
    addresses: Iterable[str],
    message: Sequence[Any],
    prepare: Callable[[], object] = lambda: None,
) -> list[Any]:
    """Return the first proper answer that any gives."""
    told: dict[str, str] = {}
    while True:
        prepare()
        for address in addresses:
            if address == reach.own:
                continue  # the same list is given to all machines
            try:
                answer = await reach.ask(address, msg.pack(list(message)), ASK_SECONDS)
            except (PeerUnavailableError, PeerRefusedError, AnswerLostError) as error:
                text = f"{str(error).removeprefix(f'{address}: ')}{_hint(error)}"
                if told.get(address) != text:
                    told[address] = text
                    logger.warning(
                        "cannot join through %s: %s; trying on", address, text, extra=about(address=address)
                    )
                continue
            if msg.well_formed(answer):
                return answer
            logger.warning("%s gave an answer that is none", address)
        await reach.sleep(PAUSE_SECONDS)
