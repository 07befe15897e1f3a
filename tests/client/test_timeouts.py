"""What a timeout may be, and what is said when it is over: one rule for every call, in both colours."""

from __future__ import annotations

import asyncio
import inspect
import math
import re
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

import visor
import visor.aio
from tests.patience import GROWING, LONG_TTL, PATIENCE
from visor import errors, testing

COLOURS = {"blocking": visor, "aio": visor.aio}
AT_ONCE = (
    "acquire",
    "campaign",
    "try_acquire",
    "run",
    "next",
    "wait_over",
    "close",
    "connect",
    "progress",
    "reopen",
    "leave",
)
"""What does something at once with 0 (or ends nothing but itself): said in its own documentation."""
LEFT_OUT = {"transaction", "attempts", "update", "on_change", "run", "leader_at", "observe_at"}
"""What takes a function of the user's, or asks nobody by itself."""
WORDS: dict[str, Any] = {
    "path": "/a", "value": b"x", "default": None, "what": "/**", "guards": {}, "leases": [1], "lease": 1, "a": 1,
    "b": 1, "moment": 0.0, "ttl": 5.0, "rev": 1, "member": "n1", "to_rev": 1, "data": b"x", "note": None,
}  # fmt: skip


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with testing.server() as server:
        yield server.address


async def told(answer: Any) -> Any:
    """Return an answer of either colour; of several, the first."""
    if isinstance(answer, AsyncIterator) and not hasattr(answer, "close"):
        return await anext(answer)
    if inspect.isawaitable(answer):
        return await answer
    if inspect.isgenerator(answer):
        return next(answer)
    if inspect.isasyncgen(answer):
        return await anext(answer)
    return answer


async def subjects(colour: str, address: str) -> AsyncIterator[tuple[Any, Any]]:
    """Give a client, and one thing after the other that has calls with a timeout."""
    client = await told(COLOURS[colour].dial(address, discover=False, timeout=PATIENCE))
    try:
        await told(client.set("/a", b"1"))
        session = await told(client.session(LONG_TTL))
        path = f"/{colour}"
        watch = await told(client.watch("/**"))
        made = [
            client, client.admin, session, watch, session.lock(f"{path}/l"), session.semaphore(f"{path}/s", 1),
            session.election(f"{path}/e", b""), session.party(f"{path}/p", b""), await told(client.get("/a")),
        ]  # fmt: skip
        for one in made[4:7]:
            await told(one.acquire())
        for one in made:
            yield client, one
        await told(watch.close())
        await told(session.close())
    finally:
        await told(client.close())


def calls_of(one: Any) -> Iterator[tuple[str, Callable[..., Any], dict[str, Any]]]:
    """Yield every call of an object that has a timeout, with arguments that fit."""
    for name, function in inspect.getmembers(type(one), callable):
        if name.startswith("_") or name in LEFT_OUT:
            continue
        parameters = list(inspect.signature(function).parameters.values())[1:]
        if any(each.name == "timeout" for each in parameters):
            needed = [
                each.name for each in parameters if each.default is each.empty and each.name != "timeout"
            ]
            yield name, getattr(one, name), {each: WORDS[each] for each in needed}


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("odd", [-2, -0.5, math.nan])
def test_less_than_no_time_is_refused_by_every_call(address: str, colour: str, odd: float) -> None:
    async def main() -> int:
        count = 0
        async for client, one in subjects(colour, address):
            before = await told(client.rev())
            for name, call, arguments in calls_of(one):
                if name == "reopen":
                    continue
                with pytest.raises(ValueError, match=f"timeout must be .* 0 or more, not {odd}"):
                    await told(call(**arguments, timeout=odd))
                    pytest.fail(f"{type(one).__name__}.{name}")
                count += 1
            assert await told(client.rev()) == before
        return count

    assert asyncio.run(main()) > 60


@pytest.mark.parametrize("colour", COLOURS)
def test_without_time_nothing_is_sent(address: str, colour: str) -> None:
    async def main() -> None:
        async for client, one in subjects(colour, address):
            before = await told(client.rev())
            for name, call, arguments in calls_of(one):
                if name in AT_ONCE or name in ("release", "resign", "revoke", "survey", "fast_forward"):
                    continue
                with pytest.raises(errors.DeadlineExceeded) as caught:
                    await told(call(**arguments, timeout=0))
                    pytest.fail(f"{type(one).__name__}.{name}")
                assert caught.value.seconds == 0
            with pytest.raises(errors.DeadlineExceeded, match="nothing was sent"):
                await told(client.set("/zero", b"", timeout=0))
            assert await told(client.rev()) == before

    asyncio.run(main())


async def what_is_said_at_the_end_of(call: Callable[[float], Any]) -> tuple[float, str]:
    """Give a call more and more time, until the node had enough to answer in; return how much, and the error's text."""
    for seconds in GROWING:
        with pytest.raises(errors.DeadlineExceeded) as caught:
            await told(call(seconds))
        assert caught.value.seconds == seconds
        if "no answer" not in str(caught.value):  # or the machine stood still while it should have come
            return seconds, str(caught.value)
    pytest.fail("a healthy registry has not answered")


@pytest.mark.parametrize("colour", COLOURS)
def test_waiting_on_a_healthy_registry_says_that_nothing_changed(address: str, colour: str) -> None:
    async def main() -> None:
        client = await told(COLOURS[colour].dial(address, discover=False))
        try:
            watch = await told(client.watch("/none"))
            for call in (
                lambda seconds: client.wait("/none", timeout=seconds),
                lambda seconds: watch.next(timeout=seconds),
            ):
                seconds, said = await what_is_said_at_the_end_of(call)
                assert said == f"nothing changed within {seconds:g} s"
            await told(watch.close())
            rev = await told(client.rev())
            _, said = await what_is_said_at_the_end_of(
                lambda seconds: client.wait("/none", rev + 50, timeout=seconds)
            )
            assert re.search(rf"from rev {rev + 50} on, .* is rev {rev}$", said)
        finally:
            await told(client.close())

    asyncio.run(main())
