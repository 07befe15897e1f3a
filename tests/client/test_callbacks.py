"""A callback may end as it likes: it is told, and nothing goes on half."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import Any

import pytest

import visor
import visor.aio
from tests.patience import PATIENCE
from visor import errors
from visor.aio._listeners import Listeners as AioAnnouncer
from visor.blocking._listeners import Listeners
from visor.testing import Server


class OwnEnd(BaseException):
    """Something that is no Exception and no wish to end either."""


ACCIDENTS = [ValueError("mine"), asyncio.CancelledError(), OwnEnd()]
"""After these the next commit follows."""
ENDS = [SystemExit(3), KeyboardInterrupt(), GeneratorExit()]
"""After these nothing more is called."""
names = lambda error: type(error).__name__  # noqa: E731


class TestThreads:
    @pytest.mark.parametrize("error", ACCIDENTS, ids=names)
    def test_an_accident_is_logged_and_the_next_commit_follows(
        self, visor_client: visor.Client[bytes], caplog: pytest.LogCaptureFixture, error: BaseException
    ) -> None:
        seen: list[int] = []
        second = threading.Event()

        def callback(commit: visor.Commit[bytes]) -> None:
            seen.append(commit.rev)
            if len(seen) == 1:
                raise error
            second.set()

        with visor_client.on_change("/**", callback) as subscription:
            visor_client.set("/a", b"1")
            visor_client.set("/a", b"2")
            assert second.wait(PATIENCE)
            assert subscription.error is None
        assert seen == [1, 2]
        (record,) = [record for record in caplog.records if "a callback raised" in record.message]
        assert record.exc_info is not None
        assert record.exc_info[1] is error

    @pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
    @pytest.mark.parametrize("error", ENDS, ids=names)
    def test_what_asks_for_the_end_ends_it_and_is_told(
        self, visor_client: visor.Client[bytes], caplog: pytest.LogCaptureFixture, error: BaseException
    ) -> None:
        caplog.set_level(logging.WARNING, "visor")

        def callback(commit: visor.Commit[bytes]) -> None:
            raise error

        subscription = visor_client.on_change("/**", callback)
        visor_client.set("/a", b"1")
        subscription._runner.join(PATIENCE)
        assert not subscription._runner.is_alive()
        assert isinstance(subscription.error, errors.CallbackEnded)
        assert subscription.error.__cause__ is error
        assert f"a callback ended with {names(error)} at" in caplog.text
        assert not visor_client._driver._session.feeds, "its watch is closed"
        assert visor_client.set("/a", b"2") == 2

    @pytest.mark.parametrize("error", [*ACCIDENTS, *ENDS], ids=names)
    def test_a_listener_that_ends_keeps_the_others_informed(
        self, visor_client: visor.Client[bytes], error: BaseException
    ) -> None:
        announcer: Listeners[int] = Listeners(visor_client._driver)
        told: list[int] = []
        done = threading.Event()

        def bad(event: int) -> None:
            raise error

        def good(event: int) -> None:
            told.append(event)
            if event == 2:
                done.set()

        announcer.add(bad)
        announcer.add(good)
        announcer.tell(1)
        announcer.tell(2)
        assert done.wait(PATIENCE)
        assert told == [1, 2]


class TestAsyncio:
    @pytest.mark.parametrize("error", ACCIDENTS, ids=names)
    def test_an_accident_is_logged_and_the_next_commit_follows(
        self, visor_server: Server, caplog: pytest.LogCaptureFixture, error: BaseException
    ) -> None:
        async def scenario() -> list[int]:
            seen: list[int] = []
            second = asyncio.Event()

            async def callback(commit: visor.Commit[bytes]) -> None:
                seen.append(commit.rev)
                if len(seen) == 1:
                    raise error
                second.set()

            async with (
                visor.aio.dial(visor_server.address) as client,
                await client.on_change("/**", callback) as subscription,
            ):
                await client.set("/a", b"1")
                await client.set("/a", b"2")
                await asyncio.wait_for(second.wait(), PATIENCE)
                assert subscription.error is None
            return seen

        assert asyncio.run(scenario()) == [1, 2]
        assert "a callback raised at" in caplog.text

    @pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()], ids=names)
    def test_what_asks_for_the_end_of_the_program_is_told_and_happens(
        self, visor_server: Server, caplog: pytest.LogCaptureFixture, error: BaseException
    ) -> None:
        kept: list[Any] = []

        async def scenario() -> None:
            def callback(commit: visor.Commit[bytes]) -> None:
                raise error

            async with visor.aio.dial(visor_server.address) as client:
                kept.append(await client.on_change("/**", callback))
                await client.set("/a", b"1")
                await asyncio.Event().wait()

        with pytest.raises(type(error)):
            asyncio.run(scenario())
        assert isinstance(kept[0].error, errors.CallbackEnded)
        assert f"a callback ended with {names(error)} at" in caplog.text

    def test_the_end_of_its_task_is_no_accident_of_the_callback(
        self, visor_server: Server, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def scenario() -> None:
            called = asyncio.Event()

            async def callback(commit: visor.Commit[bytes]) -> None:
                called.set()
                await asyncio.Event().wait()

            async with visor.aio.dial(visor_server.address) as client:
                subscription = await client.on_change("/**", callback)
                await client.set("/a", b"1")
                await called.wait()
                subscription._runner.cancel()
                await asyncio.wait((subscription._runner,), timeout=PATIENCE)
                assert subscription._runner.cancelled()
                assert not client._driver._session.feeds

        asyncio.run(scenario())
        assert "a callback raised" not in caplog.text

    @pytest.mark.parametrize("error", ACCIDENTS, ids=names)
    def test_a_listener_that_ends_keeps_the_others_informed(
        self, visor_server: Server, error: BaseException
    ) -> None:
        async def scenario() -> list[int]:
            told: list[int] = []

            def bad(event: int) -> None:
                raise error

            async with visor.aio.dial(visor_server.address) as client:
                announcer: AioAnnouncer[int] = AioAnnouncer(client._driver)
                announcer.add(bad)
                announcer.add(told.append)
                announcer.tell(1)
                announcer.tell(2)
                await announcer.close()
            return told

        assert asyncio.run(scenario()) == [1, 2]
