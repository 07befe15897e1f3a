"""What the objects of one client share of it: how to ask, and how paths and values go to and fro."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic

from visor._core.generic import T
from visor._core.root import Root
from visor._core.settings import Settings
from visor._drivers.aio.driver import Driver
from visor.codecs import Codec


class Channel(Generic[T]):
    """The one thing that a client hands to its files, watches, leases, locks, mirrors and stores.

    They know nothing else of the client's inside, so that it can change without them. Not for applications.
    """

    __slots__ = ("call", "codec", "driver", "path", "root", "settings")

    def __init__(self, settings: Settings, codec: Codec[T]) -> None:
        self.settings = settings
        self.codec = codec
        self.root: Root = settings.root
        # Without a root a path goes as it is: the server judges it.
        self.path: Callable[[str], str] = str if settings.root.text == "/" else settings.root.path
        self.driver = Driver(settings)
        self.call: Callable[..., Any] = (
            self.driver.call if settings.on_request is None else self.driver.observed_call
        )

    def shared(self, timeout: float | None) -> float | None:
        """Return the timeout for a call that takes several requests: they share it. None is the default for each."""
        return None if timeout is None else self.driver.deadline(timeout).timeout
