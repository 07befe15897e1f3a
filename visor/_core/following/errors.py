"""What can go wrong while following, besides what `visor.errors` draws."""

# ruff: noqa: N818  # as in visor.errors: the names say what the caller may believe
from __future__ import annotations

from visor._core.public import public
from visor.errors import ClientUnusable, VisorError


class ReaderDropped(VisorError):
    """This reader was too slow and was let go, so that it costs nobody else anything.

    It was given everything up to `.rev`, and can begin again from there without a gap. `.why` says which
    bound it passed.
    """

    code = "reader_dropped"
    fields = ("why", "rev")
    wording = "dropped as a reader: {why}; everything up to rev {rev} was delivered"
    why: str
    rev: int


class WatcherClosed(ClientUnusable):
    """`close` was called on this watcher."""

    code = "watcher_closed"
    wording = "watcher closed"

    def _describe(self) -> str:
        return self.wording


class BacklogDone(VisorError):
    """Only what was there already was asked for, and all of it has been given."""

    code = "backlog_done"
    fields = ("rev",)
    wording = "all that was there at rev {rev} has been given"
    rev: int


class Stopped(VisorError):
    """What this follows has ended; `__cause__` says why, when it did not end by `close`."""

    code = "stopped"
    wording = "what is followed here has ended"

    def _describe(self) -> str:
        return self.wording


public("visor.following", Stopped, ReaderDropped, WatcherClosed, BacklogDone)
