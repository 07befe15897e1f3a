"""The authority's key, handed to each voter that has none: any of them may lead, and who leads makes certificates.

    a voter without the key  --KEY 7-->  another voter  --KEY_IS 7, PEM or nil-->  kept in its data directory (0600)

It travels within TLS alone, over a connection that *this* member dialled to the asker's configured address and that has
shown a certificate which says whose it is (`Peers.certified`); whatever asked, the answer goes there. Learners and who
is no member get nothing. It is in no entry of the log, no state, no checkpoint, and so in no copy of these.

One voter is asked at a time, in turn, until one has it. What comes must be the key of the authority that is here.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final, Protocol

from visord.audit import recorded
from visord.audit.auditor import Silent
from visord.authority.authority_files import AuthorityFiles
from visord.authority.issuing import Authority, CertificateError
from visord.authority.office import Office
from visord.peers import messages as msg
from visord.peers.messages import Handler
from visord.raft.configuration import Configuration
from visord.state.formats import SECRETS

logger = logging.getLogger("visord.authority")

PAUSE_SECONDS: Final = 1.0
"""Between two questions."""


class Consensus(Protocol):
    """What of the engine is used."""

    @property
    def member(self) -> str: ...

    @property
    def committed_configuration(self) -> Configuration: ...


class Network(Protocol):
    """What of the network is used."""

    def certified(self, member: str) -> bool: ...


class Background(Protocol):
    """Runs what may block."""

    def submit(
        self, job: Callable[[], Any], done: Callable[[Any, BaseException | None], None], /
    ) -> None: ...


class Handover:
    """See the module. `audit()`: who is told; `form()`: the format of commands in force."""

    def __init__(
        self,
        office: Office,
        files: AuthorityFiles,
        consensus: Consensus,
        network: Network,
        send: Callable[[str, list[Any]], bool],
        time: Callable[[], float],
        first_id: int,
        background: Background,
        audit: Callable[[], Silent],
        form: Callable[[], int],
    ) -> None:
        self._office = office
        self._files = files
        self._consensus = consensus
        self._network = network
        self._send = send
        self._time = time
        self._last = first_id
        self._background = background
        self._audit = audit
        self._form = form
        self._next = 0.0
        self._asked = ("", 0)
        """Of whom the key was asked last, and under which number."""
        self._keeping = False
        self.handlers: dict[int, Handler] = {msg.KEY: self.on_question, msg.KEY_IS: self.on_answer}

    # -- asking -----------------------------------------------------------------------------------------------

    def tick(self) -> None:
        """From time to time: ask the next voter, while this one has no key."""
        authority = self._office.authority
        if authority is None or authority.signs or self._keeping or self._form() < SECRETS:
            return
        voters = self._consensus.committed_configuration.voters
        now = self._time()
        if now < self._next or self._consensus.member not in voters:
            return
        self._next = now + PAUSE_SECONDS
        others = [one for one in voters if one != self._consensus.member and self._network.certified(one)]
        if others:
            after = [one for one in others if one > self._asked[0]] or others
            self._last += 1
            self._asked = after[0], self._last
            self._send(after[0], [msg.KEY, self._last])

    def on_answer(self, member: str, message: list[Any]) -> None:
        """A voter that was asked answers."""
        authority, key = self._office.authority, message[2]
        if (member, message[1]) != self._asked or key is None or authority is None or authority.signs:
            return
        self._asked = member, 0
        try:
            found = Authority.read(authority.pem, key)
        except CertificateError as error:
            logger.error("member %s told a key of the authority that is none: %s", member, error)
            return
        self._keeping = True
        self._background.submit(lambda: self._files.keep_key(key), lambda _, error: self._kept(found, error))

    def _kept(self, authority: Authority, error: BaseException | None) -> None:
        self._keeping = False
        if error is not None:
            logger.error("the authority's key could not be kept, and is asked for again: %s", error)
            return
        self._office.authority = authority
        logger.info("this member holds the authority's key from now on, as a voter")

    # -- answering --------------------------------------------------------------------------------------------

    def on_question(self, member: str, message: list[Any]) -> None:
        """Another member asks for the key."""
        authority = self._office.authority
        key = None if authority is None else authority.key_pem
        voter = member in self._consensus.committed_configuration.voters
        if not self._network.certified(member):
            return  # nothing is sent outside TLS, not even that there is none
        if key is not None and voter:
            logger.info("the authority's key goes to the voter %s", member)
            text = f"the authority's key went to the voter {member}"
            self._audit().record(recorded.MEMBERS, verb="key", reason=text)
        self._send(member, [msg.KEY_IS, message[1], key if voter else None])
