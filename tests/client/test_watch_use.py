"""A watch is used as people write it, in both colours, and one that nobody holds any more is closed."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import inspect
import warnings
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest

import visor
import visor.aio
from tests.patience import PATIENCE
from visor import errors
from visor.testing import Server

Client = visor.aio.Client[bytes]


@contextlib.contextmanager
def told(kind: type[Warning]) -> Iterator[list[str]]:
    """Collect the texts of the warnings of that kind."""
    found: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield found
        gc.collect()
    found += [str(one.message) for one in caught if issubclass(one.category, kind)]


def feeds(client: Any) -> int:
    """Return how many watches the client has, once what was dropped has been dealt with."""
    client.ping(timeout=PATIENCE)
    return len(client._driver._session.feeds)


class TestThreads:
    def test_in_a_loop_at_once(self, visor_client: visor.Client[bytes]) -> None:
        visor_client.set("/a", b"1")
        with told(ResourceWarning) as texts:
            for commit in visor_client.watch("/**", 1):
                assert commit.rev == 1
                break
        assert (texts, feeds(visor_client)) == ([], 0)

    def test_in_a_block_and_kept(self, visor_client: visor.Client[bytes]) -> None:
        visor_client.set("/a", b"1")
        with told(ResourceWarning) as texts:
            with visor_client.watch("/**", 1) as watch:
                assert next(watch).rev == 1
            kept = visor_client.watch("/**", 1)
            assert kept.next(timeout=PATIENCE).rev == 1
            kept.close()
        assert (texts, feeds(visor_client)) == ([], 0)

    def test_a_loop_that_is_left_can_be_entered_again(self, visor_client: visor.Client[bytes]) -> None:
        for number in range(3):
            visor_client.set("/a", b"%d" % number)
        watch = visor_client.watch("/**", 1)
        seen = []
        for _ in range(3):
            for commit in watch:
                seen.append(commit.rev)
                break
        assert seen == [1, 2, 3]
        watch.close()

    def test_many_that_are_left_leave_none_behind(self, visor_client: visor.Client[bytes]) -> None:
        visor_client.set("/a", b"1")
        for _ in range(300):
            for _commit in visor_client.watch("/**", 1):
                break
            assert len(visor_client._driver._session.feeds) <= 2
        assert feeds(visor_client) == 0

    def test_one_that_is_dropped_is_closed_with_a_warning(self, visor_client: visor.Client[bytes]) -> None:
        with told(ResourceWarning) as texts:
            watch = visor_client.watch("/**")
            del watch
        assert len(texts) == 1
        assert "unclosed <visor watch" in texts[0]
        assert feeds(visor_client) == 0

    @pytest.mark.parametrize("how", ["closed", "its client closed", "never opened"])
    def test_of_one_that_has_ended_nothing_is_said(self, visor_server: Server, how: str) -> None:
        client = visor_server.dial()
        with told(ResourceWarning) as texts:
            if how == "never opened":
                with pytest.raises(errors.Rejected):
                    client.watch("/a b")
            else:
                watch = client.watch("/**")
                (watch if how == "closed" else client).close()
                del watch
        client.close()
        assert texts == []

    def test_the_collector_may_find_it_while_the_lock_is_held(
        self, visor_client: visor.Client[bytes]
    ) -> None:
        watch = visor_client.watch("/**")
        with told(ResourceWarning), visor_client._driver._lock:
            del watch
            gc.collect()
        assert feeds(visor_client) == 0


async def in_loop(client: Client) -> int:
    async for commit in client.watch("/**", 1):
        return commit.rev
    return 0


async def in_block(client: Client) -> int:
    async with client.watch("/**", 1) as watch:
        return (await anext(watch)).rev


async def awaited(client: Client) -> int:
    watch = await client.watch("/**", 1)
    try:
        return (await watch.next(timeout=PATIENCE)).rev
    finally:
        await watch.close()


async def awaited_in_block(client: Client) -> int:
    async with await client.watch("/**", 1) as watch:
        return (await watch.next(timeout=PATIENCE)).rev


async def in_task(client: Client) -> int:
    watch = await asyncio.create_task(client.watch("/**", 1))
    await watch.close()
    return 1


async def waited_for(client: Client) -> int:
    async with await asyncio.wait_for(client.watch("/**", 1), PATIENCE) as watch:
        return (await watch.next(timeout=PATIENCE)).rev


async def gathered(client: Client) -> int:
    watches = await asyncio.gather(client.watch("/**", 1), client.watch("/**", 1))
    for watch in watches:
        await watch.close()
    return len(watches) - 1


WAYS: list[Callable[[Client], Awaitable[int]]] = [
    in_loop, in_block, awaited, awaited_in_block, in_task, waited_for, gathered,
]  # fmt: skip


class TestAsyncio:
    @pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
    def test_every_way_works_and_leaves_nothing_behind(self, visor_server: Server, way: Any) -> None:
        async def scenario() -> tuple[int, int]:
            async with visor.aio.dial(visor_server.address) as client:
                await client.set("/a", b"1")
                rev = await way(client)
                gc.collect()
                await asyncio.sleep(0)
                await client.ping()
                return rev, len(client._driver._session.feeds)

        with told(ResourceWarning) as texts:
            assert asyncio.run(scenario()) == (1, 0)
        assert texts == []

    def test_many_that_are_left_leave_none_behind(self, visor_server: Server) -> None:
        async def scenario() -> int:
            async with visor.aio.dial(visor_server.address) as client:
                await client.set("/a", b"1")
                for _ in range(300):
                    await in_loop(client)
                    assert len(client._driver._session.feeds) <= 3
                gc.collect()
                await client.ping()
                return len(client._driver._session.feeds)

        assert asyncio.run(scenario()) == 0

    def test_one_that_is_dropped_is_closed_with_a_warning(self, visor_server: Server) -> None:
        async def scenario() -> int:
            async with visor.aio.dial(visor_server.address) as client:
                watch = await client.watch("/**")
                del watch
                gc.collect()
                await client.ping()
                return len(client._driver._session.feeds)

        with told(ResourceWarning) as texts:
            assert asyncio.run(scenario()) == 0
        assert any("unclosed <visor watch" in text for text in texts)

    def test_one_that_is_never_begun_is_told_as_any_coroutine(self, visor_server: Server) -> None:
        async def scenario() -> None:
            async with visor.aio.dial(visor_server.address) as client:
                client.watch("/**")  # type: ignore[unused-coroutine]
                gc.collect()
                assert not client._driver._session.feeds

        with told(RuntimeWarning) as texts:
            asyncio.run(scenario())
        assert any("was never awaited" in text for text in texts)

    def test_wrong_arguments_are_refused_where_they_are_given(self, visor_server: Server) -> None:
        async def scenario() -> None:
            async with visor.aio.dial(visor_server.address) as client:
                with pytest.raises(TypeError, match="is expected, not 5"):
                    client.watch(5)  # type: ignore[call-overload]
                with pytest.raises(errors.Rejected):
                    async for _ in client.watch("/a b"):
                        pass

        asyncio.run(scenario())

    def test_it_is_a_coroutine_for_those_who_ask(self, visor_server: Server) -> None:
        async def scenario() -> None:
            async with visor.aio.dial(visor_server.address) as client:
                opening = client.watch("/**")
                assert asyncio.iscoroutine(opening)
                assert inspect.isawaitable(opening)
                await (await opening).close()

        asyncio.run(scenario())
