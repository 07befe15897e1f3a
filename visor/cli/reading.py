"""What the reading commands have in common: which state, and which files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from visor import select
from visor.cli import moment
from visor.cli.problem import Problem
from visor.cli.settings import MOST, Settings
from visor.errors import Denied
from visor.protocol.limits import SELECTORS
from visor.protocol.verbs import SEL_TREE
from visor.select import Selector

if TYPE_CHECKING:
    from visor.blocking import Client, File
    from visor.cli.output import Output

LATEST = ("latest", "now", "head")


def past(client: Client[bytes], settings: Settings, rev: int | None, at: str | None) -> int | None:
    """Return the rev to read: `--rev`, or the last one at or before `--at`; None for the latest state."""
    if rev is not None and at is not None:
        raise Problem("--rev and --at exclude each other: a state is named by its rev or by its time")
    if at is None:
        settings.awaited = rev
        return rev
    try:
        return client.rev_at(moment.instant(at, settings.now))
    except ValueError as error:
        raise Problem(f"--at: {error}") from None


def fixed(client: Client[bytes], at: int | None, stale: bool, output: Output) -> int | None:
    """Return the rev to read at. A JSON document names it, so there the latest becomes a number."""
    return client.rev(stale=stale) if at is None and output.is_json else at


def told_aloud(
    files: Iterator[File[bytes]], count: Callable[[], int], output: Output
) -> Iterator[File[bytes]]:
    """Return the same files; say how far it is where nothing is shown before all are there."""
    if output.form != "table":
        return files
    from visor.cli.aloud import counted_aloud

    return counted_aloud(files, count, output)


def rev_of(client: Client[bytes], settings: Settings, text: str) -> int:
    """Return the rev that `text` names: a number, `latest`, or a time (RFC 3339, or `10m` ago)."""
    if text.isascii() and text.isdigit():
        rev = int(text) if len(text) < 20 else MOST + 1
        if rev > MOST:
            raise Problem(f"{text[:40]} is no rev: the highest one is {MOST}")
        settings.awaited = max(rev, settings.awaited or 0)
        return rev
    if text in LATEST:
        return client.rev()
    try:
        return client.rev_at(moment.instant(text, settings.now))
    except ValueError:
        raise Problem(
            f"{text!r} names no rev; write a number, 'latest', a time like 2026-03-01T12:00:00Z, or 10m (ago)"
        ) from None


def within_grants(
    client: Client[bytes], output: Output, what: Selector, wanted: Sequence[str], on: bool
) -> Selector:
    """Return what of a selection is granted, with `--granted`, and say what that is. Denied where nothing is."""
    if not on:
        return what
    found = client.auth.granted(what, *wanted)
    if found.selector is None:
        raise Denied(
            f"denied: nothing of that is granted to you ({', '.join(wanted)})", missing=" and ".join(wanted)
        )
    if not found.whole:
        more = "; there may be more that no selector says" if found.left_out else ""
        output.notice(f"only what is granted: {_words(found.selector)}{more}")
    return found.selector


def _words(what: Selector) -> str:
    """Return a selection as people type it."""
    parts = what.parts or (what,)
    return ", ".join(f"{part.text.rstrip('/')}/**" if part.kind == SEL_TREE else part.text for part in parts)


def subtree(text: str) -> Selector:
    """Return what PATH selects: the path and all below it; of a glob, what it matches."""
    return select.glob(text) if is_glob(text) else select.tree(text)


def is_glob(text: str) -> bool:
    """Tell whether the text has wildcards or braces."""
    return any(character in text for character in "*?{}")


def selection(
    globs: Sequence[str], path: str | None, prefix: str | None, children: str | None
) -> Selector | None:
    """Return what any of GLOB..., `--path`, `--prefix` and `--children` selects; None when none is given.

    Problem when they are too many for one request.
    """
    given = [
        make(text)
        for text, make in (
            *((glob, select.glob) for glob in dict.fromkeys(globs)),
            (path, select.path),
            (prefix, select.tree),
            (children, select.children),
        )
        if text is not None
    ]
    if len(given) > SELECTORS:
        raise Problem(
            f"{len(given)} globs are over the {SELECTORS} of one request; did the shell spell one out? Quote it: '/**'"
        )
    if len(given) > 1:
        return select.any_of(*given)
    return given[0] if given else None
