"""One question to an address, and its answer: how a node joins, and how a program reaches a member."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from visord.peers.errors import AnswerLostError, HandshakeError, PeerUnavailableError, no_answer
from visord.peers.handshake import ASK, NONCE, Dialler, Introduction
from visord.peers.outgoing import DIAL_SECONDS, dial
from visord.peers.security import Security


async def ask(
    loop: asyncio.AbstractEventLoop,
    address: str,
    data: bytes,
    *,
    me: Introduction,
    security: Security,
    rng: random.Random,
    timeout: float,  # noqa: ASYNC109 - part of the answer to a failure: was it sent?
) -> list[Any]:
    """Send `data`, one packed message, to the node at `address`; return its answer, a decoded message.

    `timeout`: seconds for everything. Raises `PeerUnavailableError` (it was not sent), `PeerRefusedError` (it was not
    sent, and will not be soon), `AnswerLostError` (it was sent and may have had its effect).
    """
    began = loop.time()
    dialler = Dialler(me, expect=None, purpose=ASK, secret=security.secret, nonce=rng.randbytes(NONCE))
    try:
        connection = await dial(loop, address, dialler, security, seconds=min(timeout, DIAL_SECONDS))
    except (OSError, ValueError, HandshakeError) as error:
        raise PeerUnavailableError(f"{address}: {error}") from error
    answer: asyncio.Future[list[Any]] = loop.create_future()

    def receive(message: list[Any]) -> None:
        if not answer.done():
            answer.set_result(message)

    connection.receive = receive
    try:
        if not connection.send(data):
            raise PeerUnavailableError(f"{address}: the connection was lost at once")
        rest = max(0.0, timeout - (loop.time() - began))
        await asyncio.wait((answer, connection.lost), timeout=rest, return_when=asyncio.FIRST_COMPLETED)
        if answer.done():
            return answer.result()
        why = connection.lost.result() if connection.lost.done() else no_answer(timeout)
        raise AnswerLostError(f"{address}: {why}")
    finally:
        answer.cancel()
        connection.close()
