"""Asking a runner something: one line there, one line back, on a connection of its own."""

# ruff: noqa: ASYNC109  # the deadline of a call is part of the API
from __future__ import annotations

import asyncio

from visor._core.registry.control import MOST, PAUSE, TRIES, answered, silent, unreachable


async def ask(host: str, port: int, command: str, timeout: float) -> str:
    """Return the runner's answer to one command; Unavailable when it cannot be reached or does not answer."""
    try:
        async with asyncio.timeout(timeout):
            reader, writer = await _connect(host, port)
            try:
                writer.write(f"{command}\n".encode())
                return answered(await reader.readuntil(b"\n"))
            finally:
                writer.close()
    except asyncio.IncompleteReadError as error:
        return answered(error.partial)
    except TimeoutError:
        raise silent(host, port, timeout) from None
    except (OSError, asyncio.LimitOverrunError) as error:
        raise unreachable(host, port, error) from error


async def _connect(host: str, port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    for left in reversed(range(TRIES)):
        try:
            return await asyncio.open_connection(host, port, limit=MOST)
        except OSError:
            if not left:
                raise
            await asyncio.sleep(PAUSE)
    raise AssertionError("there is at least one try")
