"""Blocks to a history file, summed up, written and synced by the worker thread while the loop packs the next ones.

Every job opens the file, writes what gathered, syncs and closes it: nothing is left open when a checkpoint
is given up in the middle, and the disk never has much to do at once, so that the log's syncs do not wait
behind it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator

from visord.storage.disk import Disk, join
from visord.storage.segments import HEADER_SIZE, Block, Part, grow, pack_header, seal
from visord.storage.worker import Submitter

BATCH: int = 512 * 1024
"""Bytes that one job writes and syncs."""
MAX_JOBS: int = 2
"""Jobs under way; packing waits when there are more."""


class PartWriter:
    """Appends blocks to `part`. `part` grows at once; its chain is known, and it is on disk, after `finish`.

    With `fresh`, the file is made anew, otherwise what stands behind `part.size` is cut off first.
    """

    def __init__(self, disk: Disk, directory: str, part: Part, background: Submitter, *, fresh: bool) -> None:
        self._disk = disk
        self._directory = directory
        self._background = background
        self._gathered: list[Block] = []
        self._size = 0
        self._jobs = 0
        self._error: BaseException | None = None
        self._chain = part.chain
        """Up to what has been written; the jobs' own."""
        self.part = part
        if fresh:
            self._submit(lambda: self._create(part))
        else:
            self._submit(lambda: self._cut(part))

    def add(self, block: Block) -> None:
        """Append a block; it is written when enough have gathered."""
        self._gathered.append(block)
        before, self.part = self.part.size, grow(self.part, block)
        self._size += self.part.size - before
        if self._size >= BATCH:
            self._write()

    def room(self) -> Generator[None, None, None]:
        """Wait until few enough jobs are under way. Raises what a job raised."""
        yield from self._wait(MAX_JOBS)

    def finish(self) -> Generator[None, None, None]:
        """Write the rest and wait until everything is durable. Raises what a job raised."""
        if self._gathered:
            self._write()
        yield from self._wait(0)
        self.part = self.part._replace(chain=self._chain)

    def _wait(self, jobs: int) -> Generator[None, None, None]:
        while self._error is None and self._jobs > jobs:
            yield
        if self._error is not None:
            raise self._error

    def _write(self) -> None:
        blocks, offset = self._gathered, self.part.size - self._size
        self._gathered, self._size = [], 0
        path = join(self._directory, self.part.name)

        def job() -> None:
            pieces, chain = list[bytes](), self._chain
            for block in blocks:
                head, chain = seal(block, chain)
                pieces += (head, block.payload)
            file = self._disk.open(path)
            try:
                file.pwrite(b"".join(pieces), offset)
                file.sync()
                self._chain = chain
            finally:
                file.close()

        self._submit(job)

    def _create(self, part: Part) -> None:
        file = self._disk.open(join(self._directory, part.name), create=True)
        try:
            file.pwrite(pack_header(part.kind, part.number), 0)
            file.sync()
        finally:
            file.close()
        self._disk.sync_dir(self._directory)

    def _cut(self, part: Part) -> None:
        assert part.size >= HEADER_SIZE
        file = self._disk.open(join(self._directory, part.name))
        try:
            if file.size() > part.size:
                file.truncate(part.size)
        finally:
            file.close()

    def _submit(self, job: Callable[[], None]) -> None:
        # After a failed job the others would write behind a hole: the worker runs them in order, so look
        # first.
        def guarded() -> None:
            if self._error is None:
                job()

        self._jobs += 1
        self._background.submit(guarded, self._done)

    def _done(self, _: None, error: BaseException | None) -> None:
        self._jobs -= 1
        if error is not None and self._error is None:
            self._error = error
