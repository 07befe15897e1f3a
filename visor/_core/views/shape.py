"""The shape of a probe: judged when it is given, not when it has failed for each server for a while."""

from __future__ import annotations

import inspect
from collections.abc import Callable


def check_probe(probe: Callable[..., object], *, awaited: bool) -> None:
    """Raise TypeError unless `probe(endpoint, timeout)` can be called, and `awaited` where that is what is done.

    A plain function may return something to be awaited: whether it does is known only when it is called.
    """
    name = getattr(probe, "__qualname__", None) or repr(probe)
    if not callable(probe):
        raise TypeError(f"a probe is called with (endpoint, timeout), and {probe!r} cannot be called")
    try:
        signature = inspect.signature(probe)
    except ValueError:
        return  # made in C, and tells nothing of itself
    try:
        signature.bind(None, 1.0)
    except TypeError as error:
        made = f"; did you mean probe={name}()?" if _makes_one(signature) else ""
        raise TypeError(
            f"a probe is called with (endpoint, timeout), and {name}{signature} cannot be: {error}{made}"
        ) from None
    if not awaited and _is_async(probe):
        raise TypeError(
            f"{name} is an async function: this registry calls its probe in a thread; see visor.aio.views"
        )


def _makes_one(signature: inspect.Signature) -> bool:
    """Whether it may be what makes a probe, as `tcp` and `http` do: called without what a probe must be given."""
    try:
        signature.bind()
    except TypeError:
        return False
    return True


def _is_async(probe: Callable[..., object]) -> bool:
    return inspect.iscoroutinefunction(probe) or inspect.iscoroutinefunction(getattr(probe, "__call__", None))  # noqa: B004
