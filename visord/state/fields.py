"""Checks of single fields of a message: each returns a Refusal, or None when the field is right.

Exact types everywhere: a bool is no integer, and no subclass comes out of a decoder.
"""

from __future__ import annotations

from typing import Any, Final

from visor.paths import check
from visor.protocol.limits import Limits
from visord.state import refusal
from visord.state.refusal import Refusal, bad_request

MAX_INT: Final = (1 << 63) - 1


def integer(field: str, value: Any, low: int = 0, high: int = MAX_INT) -> Refusal | None:
    if type(value) is int and low <= value <= high:
        return None
    expected = f"an integer from {low}" if high == MAX_INT else f"an integer from {low} to {high}"
    return bad_request(field, expected, value)


def optional_integer(field: str, value: Any) -> Refusal | None:
    return None if value is None else integer(field, value)


def boolean(field: str, value: Any) -> Refusal | None:
    return None if type(value) is bool else bad_request(field, "true or false", value)


def path(field: str, value: Any, limits: Limits, *, root: bool = True) -> Refusal | None:
    """Check a path; without `root`, "/" is refused as a directory."""
    if type(value) is not str:
        return bad_request(field, "a path", value)
    why = check(value, limits)
    if why is not None:
        return refusal.bad_path(value, why)
    return refusal.is_directory(value) if value == "/" and not root else None


def value(field: str, content: Any, limits: Limits) -> Refusal | None:
    if type(content) is not bytes:
        return bad_request(field, "bytes", content)
    if len(content) > limits.value:
        return refusal.too_large("value", limits.value, len(content))
    return None


def note(content: Any, limits: Limits) -> Refusal | None:
    if content is None:
        return None
    if type(content) is not str:
        return bad_request("note", "text or nil", content)
    length = len(content.encode("utf-8", "replace"))
    return refusal.too_large("note", limits.note, length) if length > limits.note else None


def lease(content: Any) -> Refusal | None:
    return integer("lease", content)


def sequence(field: str, content: Any, limit: int) -> Refusal | None:
    if type(content) is not list:
        return bad_request(field, "a list", content)
    return refusal.too_large(field, limit, len(content)) if len(content) > limit else None


def mapping(field: str, content: Any) -> Refusal | None:
    return None if type(content) is dict else bad_request(field, "a map", content)


def length(message: list[Any], low: int, high: int) -> Refusal | None:
    """Check how many fields a message has, its verb included."""
    if low <= len(message) <= high:
        return None
    return bad_request("message", f"{low} to {high} fields", f"{len(message)} fields")
