"""Syncs by the kernel: what was written is there, failures are told, all else goes to the thread."""

from __future__ import annotations

import asyncio
import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.patience import PATIENCE
from visord.storage import kernel_sync
from visord.storage.disk import OsDisk
from visord.storage.kernel_sync import KernelSync
from visord.storage.worker import Inline, SyncedWrite

pytest.importorskip("caio")


@pytest.fixture(params=kernel_sync.LIBRARIES, autouse=True)
def library(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setattr(kernel_sync, "LIBRARIES", (request.param,))
    return str(request.param)


def run(body: Callable[[KernelSync, Callable[..., asyncio.Future[Any]]], Any]) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        sync = KernelSync.try_new(loop, Inline())
        if sync is None:
            pytest.skip("not allowed here")

        def submit(job: Callable[[], Any]) -> asyncio.Future[Any]:
            answer: asyncio.Future[Any] = loop.create_future()
            sync.submit(job, lambda result, error: answer.set_result((result, error)))
            return answer

        try:
            await body(sync, submit)
        finally:
            sync.close()
            sync.close()

    asyncio.run(main())


def test_a_write_is_in_the_file_and_answered_on_the_loop(tmp_path: Path) -> None:
    file = OsDisk().open(str(tmp_path / "log"), create=True)

    async def body(_: KernelSync, submit: Any) -> None:
        for number in range(50):
            answer = submit(SyncedWrite(file, b"%04d" % number, number * 4))
            assert not answer.done()
            assert await asyncio.wait_for(answer, PATIENCE) == (None, None)
        assert file.pread(200, 0) == b"".join(b"%04d" % number for number in range(50))

    run(body)
    file.close()


def test_a_failing_sync_is_told_as_the_error_it_is(tmp_path: Path) -> None:
    file = OsDisk().open(str(tmp_path / "log"), create=True)
    file.close()

    async def body(_: KernelSync, submit: Any) -> None:
        result, error = await asyncio.wait_for(submit(SyncedWrite(file, b"x", 0)), PATIENCE)
        assert result is None
        assert isinstance(error, OSError)

    run(body)


@pytest.mark.parametrize("result", [-5, (1 << 64) - 5])
def test_a_result_below_zero_is_an_errno(result: int) -> None:
    async def body(sync: KernelSync, _: Any) -> None:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        sync._under_way += 1
        sync._finished(lambda: None, lambda result, error: answer.set_result(error), result)
        error = await asyncio.wait_for(answer, PATIENCE)
        assert isinstance(error, OSError)
        assert error.errno == 5

    run(body)


def test_what_the_kernel_did_not_begin_is_done_by_the_thread(tmp_path: Path) -> None:
    file = OsDisk().open(str(tmp_path / "log"), create=True)

    async def body(sync: KernelSync, _: Any) -> None:
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        sync._under_way += 1
        job = SyncedWrite(file, b"x", 0)
        sync._finished(job, lambda result, error: answer.set_result(error), -errno.EOPNOTSUPP)
        assert await asyncio.wait_for(answer, PATIENCE) is None
        assert file.pread(1, 0) == b"x"

    run(body)
    file.close()


@pytest.mark.parametrize("number", [errno.EINTR, errno.EBADF])
def test_an_end_waits_on_when_a_signal_comes_and_tells_of_any_other_failure(number: int) -> None:
    waits: list[int] = []

    class Context:
        fileno = os.eventfd(0)

        def __init__(self, sync: KernelSync) -> None:
            self._sync = sync

        def process_events(self, *_: int) -> None:
            waits.append(number)
            if len(waits) == 1:
                raise SystemError(number, "while it waited")
            self._sync._under_way = 0

    async def body(sync: KernelSync, _: Any) -> None:
        before, sync._context = sync._context, Context(sync)
        sync._under_way = 1
        try:
            if number == errno.EINTR:
                sync.close()
                assert len(waits) == 2
            else:
                with pytest.raises(SystemError):
                    sync.close()
        finally:
            sync._under_way, sync._context = 0, before

    run(body)


def test_a_queue_that_takes_no_more_is_not_used_again(tmp_path: Path) -> None:
    file = OsDisk().open(str(tmp_path / "log"), create=True)
    handed: list[Any] = []

    class Context:
        fileno = os.eventfd(0)

        def submit(self, operation: Any) -> None:
            handed.append(operation)

        def flush(self) -> None:
            raise SystemError(errno.EAGAIN, "no memory")

        def process_events(self, *_: int) -> None: ...

    async def main() -> None:
        loop = asyncio.get_running_loop()
        library = SimpleNamespace(
            Context=lambda most: Context(), Operation=SimpleNamespace(fdsync=lambda number: _Operation())
        )
        sync = KernelSync(loop, Inline(), library)
        told: list[BaseException | None] = []
        for number in range(3):
            sync.submit(SyncedWrite(file, b"%d" % number, number), lambda result, error: told.append(error))
        sync.close()
        assert (told, len(handed), file.pread(3, 0)) == ([None] * 3, 1, b"012")

    asyncio.run(main())
    os.close(Context.fileno)
    file.close()


class _Operation:
    def set_callback(self, callback: Any) -> None: ...


def test_the_next_library_is_tried_where_the_first_is_refused(
    library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Refused:
        def Context(self, most: int) -> None:  # noqa: N802 - caio's
            raise SystemError(errno.EPERM, "not allowed")

        Operation = SimpleNamespace(fdsync=None)

    monkeypatch.setitem(sys.modules, "visor_refused", Refused())
    monkeypatch.setattr(kernel_sync, "LIBRARIES", ("visor_refused", library))

    async def main() -> None:
        sync = KernelSync.try_new(asyncio.get_running_loop(), Inline())
        if sync is None:
            pytest.skip("not allowed here")
        sync.close()

    asyncio.run(main())


def test_other_jobs_go_to_the_thread() -> None:
    async def body(_: KernelSync, submit: Any) -> None:
        assert await asyncio.wait_for(submit(lambda: 7), PATIENCE) == (7, None)

    run(body)


def test_closing_waits_for_what_is_under_way(tmp_path: Path) -> None:
    file = OsDisk().open(str(tmp_path / "log"), create=True)

    async def body(sync: KernelSync, submit: Any) -> None:
        answer = submit(SyncedWrite(file, b"x" * 4096, 0))
        sync.close()
        assert await asyncio.wait_for(answer, PATIENCE) == (None, None)

    run(body)
    file.close()


def test_without_a_library_there_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_sync, "LIBRARIES", ("no.such.library",))

    async def main() -> None:
        assert KernelSync.try_new(asyncio.get_running_loop(), Inline()) is None

    asyncio.run(main())
