"""Why a read or write was refused: a value, not an exception. Codes and details are those of `codes.py`."""

from __future__ import annotations

from typing import Any, Final, NamedTuple


class Refusal(NamedTuple):
    """An ERROR on its way: `code` of visor.protocol.codes, a sentence, and what a program needs to know."""

    code: str
    text: str
    details: dict[str, Any]


NO_LEADER: Final = Refusal("no_quorum", "no leader could be found: most of the cluster's nodes are away", {})
NOT_LEADER: Final = Refusal("not_leader", "this node does not lead", {"leader": None})

POSITIVE: Final = "a positive integer"


def text_of(most: int) -> str:
    """Say what is expected where a text is."""
    return f"text of at most {most} characters"


def bad_request(field: str, expected: str, actual: Any) -> Refusal:
    """The message itself is wrong in `field`."""
    shown = describe(actual)
    return Refusal(
        "bad_request",
        f"{field}: expected {expected}, not {shown}",
        {"field": field, "expected": expected, "actual": shown},
    )


def describe(value: Any) -> str:
    """Say in a few words what `value` is; short whatever it is."""
    if value is None or type(value) is bool or type(value) is int:
        return str(value)
    if type(value) is str:
        return repr(value) if len(value) <= 40 else f"text of {len(value)} characters"
    if type(value) is bytes:
        return f"{len(value)} bytes"
    if type(value) is list:
        return f"a list of {len(value)}"
    return {dict: "a map", float: "a float"}.get(type(value), "something else")


def bad_path(path: str, why: str) -> Refusal:
    return Refusal("bad_path", f"{_short(path)} {why}", {"path": _short(path), "why": why})


def not_found(path: str, rev: int | None = None) -> Refusal:
    if rev is None:
        return Refusal("not_found", f"{path} does not exist", {"path": path})
    return Refusal("not_found", f"{path} does not exist at rev {rev}", {"path": path, "rev": rev})


def exists(path: str, actual: int) -> Refusal:
    return Refusal("exists", f"{path} exists since rev {actual}", {"path": path, "actual": actual})


def is_directory(path: str) -> Refusal:
    return Refusal("is_directory", f"{path} is a directory", {"path": path})


def not_directory(path: str) -> Refusal:
    return Refusal("not_directory", f"{path} is a file", {"path": path})


def rev_mismatch(path: str, expected: int, actual: int) -> Refusal:
    return Refusal(
        "rev_mismatch",
        f"{path} is at rev {actual}, expected {expected}",
        {"path": path, "expected": expected, "actual": actual},
    )


def compacted(floor: int, rev: int) -> Refusal:
    return Refusal("compacted", f"rev {rev} is gone: history starts at {floor}", {"floor": floor, "rev": rev})


def future_rev(rev: int, asked: int) -> Refusal:
    return Refusal("future_rev", f"rev {asked} has not been reached: {rev}", {"rev": rev, "asked": asked})


def too_large(what: str, limit: int, actual: int) -> Refusal:
    return Refusal(
        "too_large",
        f"{what}: {actual} is over the limit of {limit}",
        {"what": what, "limit": limit, "actual": actual},
    )


def lease_not_found(lease: int) -> Refusal:
    return Refusal("lease_not_found", f"lease {lease} is not there, or not any more", {"lease": lease})


def lease_exists(lease: int) -> Refusal:
    return Refusal("lease_exists", f"lease {lease} exists already", {"lease": lease})


def history_damaged(path: str, offset: int | None, why: str) -> Refusal:
    """Of a read of the past whose bytes on this node's disk are not what was written."""
    return Refusal("history_damaged", why, {"file": path, **({} if offset is None else {"offset": offset})})


def session_lost(text: str, **details: Any) -> Refusal:
    return Refusal("session_lost", text, details)


def _short(path: str) -> str:
    """Keep what an error repeats bounded and encodable, whatever was asked."""
    shown = path if len(path) <= 1024 else f"{path[:1000]}..."
    return shown.encode("utf-8", "backslashreplace").decode("utf-8")
