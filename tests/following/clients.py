"""Clients that notice a dead connection at once and come back at once."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import visor
import visor.aio
from tests.client.proxy import Proxy
from visor import codecs
from visor._core.backoff import Backoff
from visor._core.settings import Settings
from visor._drivers.environment import gather


def hasty(address: str, **changes: Any) -> Settings:
    """Settings for tests in which connections break all the time."""
    settings = gather(address, None, None, None, None, None, None)
    return replace(
        settings,
        backoff=Backoff(0.002, 2.0, 0.02),
        ping_after=0.2,
        dead_after=0.6,
        connect_timeout=1.0,
        **changes,
    )


def dial(address: str, **changes: Any) -> visor.Client[str]:
    """A blocking client whose values are text."""
    return visor.Client(hasty(address, **changes), codecs.TEXT)


def dial_async(address: str, **changes: Any) -> visor.aio.Client[str]:
    """An asyncio client whose values are text."""
    return visor.aio.Client(hasty(address, **changes), codecs.TEXT)


@contextlib.contextmanager
def cut_off(proxy: Proxy) -> Iterator[None]:
    """For the block, every connection through the proxy is cut at once, and new ones too."""
    before, proxy.filter = proxy.filter, lambda link, data, up: None
    proxy.cut_all()
    try:
        yield
    finally:
        proxy.filter = before
