"""What a node has on its disk, opened: the data directory, the state as of its checkpoint, and the log after that.

data = Data(path, settings, environment)
data.open(limits, cluster, config)      # raises storage's errors; `close` it then, too
data.machine, data.checkpointer, data.log
data.close()
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable
from pathlib import Path

from visor.protocol.limits import Limits
from visord.environment import Environment
from visord.logs import about
from visord.members import divergence
from visord.progress import ProgressTeller, amount, percent
from visord.raft.configuration import Configuration, Member, decode
from visord.raft.log import RaftLog
from visord.raft.segments import Options
from visord.settings import Settings
from visord.state.auth.auth_store import AuthStore
from visord.state.machine import Machine
from visord.storage.checkpoint import Checkpointer
from visord.storage.directory import DataDirectory

logger = logging.getLogger("visord.node")


def _tell_loading(done: int, of: int) -> None:
    known = about(bytes=done, of_bytes=of, percent=percent(done, of))
    logger.info("loading the checkpoint: %s", amount(done, of), extra=known)


class Data:
    """See the module."""

    directory: DataDirectory
    machine: Machine
    checkpointer: Checkpointer
    log: RaftLog

    def __init__(self, path: Path, settings: Settings, environment: Environment) -> None:
        self._path = path
        self._settings = settings
        self._environment = environment

    def open(self, limits: Limits, cluster: str | None, config: Callable[[], bytes]) -> None:
        """Open everything and load the checkpoint.

        `cluster`: the one that a new directory is made for, None: the node founds one. `config()` gives the members for
        the checkpoints to come, encoded.
        """
        environment, storage = self._environment, self._settings.storage
        disk, rng = environment.disk, environment.rng
        name = self._settings.node.name
        self.directory = DataDirectory.open(disk, str(self._path), node=name, rng=rng, cluster=cluster)
        divergence.check(disk, self.directory.path)
        self.machine = Machine(limits)
        if self.directory.identity.closed:
            self.machine.take_rights(AuthStore.closed(limits))
        self.checkpointer = Checkpointer(
            disk,
            self.directory,
            environment.background,
            segment_bytes=storage.history_segment_bytes,
            cache_bytes=storage.history_cache_bytes,
            config=config,
        )
        log = ProgressTeller(environment.stopwatch, _tell_loading)

        def tell(done: int, of: int) -> None:
            log(done, of)
            environment.loading(done, of)

        self.checkpointer.load(self.machine, tell)
        environment.loading(1, 1)  # that was all of it, whatever its parts came to
        self.log = RaftLog.open(
            disk,
            self.directory.log,
            options=Options(
                segment=storage.log_segment_bytes,
                chunk=storage.log_chunk_bytes,
                keep=storage.log_keep_bytes,
                reserve=storage.reserve_bytes,
                spare=storage.spare_log_bytes,
            ),
            sync=environment.sync,
            background=environment.background,
            random32=lambda: rng.getrandbits(32),
            create=self.checkpointer.index == 0,  # where there is a checkpoint, there was a log
        )

    def configuration(self, me: Member) -> Configuration:
        """Return who belonged to the cluster when the checkpoint was made, or when this node began."""
        stored = self.checkpointer.config
        if stored is not None:
            return decode(stored)
        return Configuration((me,)) if self.directory.identity.founder else Configuration()

    def close(self) -> None:
        """Close what was opened, also by a start that failed half way: the directory may be tried again."""
        for name in ("log", "directory"):
            resource = getattr(self, name, None)
            if resource is not None:
                with contextlib.suppress(OSError):
                    resource.close()
