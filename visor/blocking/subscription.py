# Generated from visor/aio/subscription.py: do not edit it here, edit that and run `python .ci/unasync.py`.
"""Callbacks on changes, away from the path of bytes."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Generic

from visor._core.generic import T
from visor._core.log import log
from visor._core.public import public
from visor.blocking._telling import tell
from visor.errors import ClientUnusable, VisorError
from visor.values import Commit

if TYPE_CHECKING:
    from visor._drivers.blocking.driver import Driver
    from visor.blocking.watch import Watch


class Subscription(Generic[T]):
    """Calls a callback for each commit of a watch; made by `Client.on_change`."""

    def __init__(self, driver: Driver, watch: Watch[T], callback: Callable[[Commit[T]], object]) -> None:
        self._driver = driver
        self._watch = watch
        self._callback = callback
        self._error: VisorError | None = None
        self._runner = driver.spawn(self, self._run)

    @property
    def error(self) -> VisorError | None:
        """Why it ended, when neither `close` nor a callback that returned False ended it.

        CallbackEnded when the callback raised SystemExit, KeyboardInterrupt or GeneratorExit.
        """
        return self._error

    @property
    def rev(self) -> int:
        """The rev up to which the callback has been called."""
        return self._watch.rev

    def close(self) -> None:
        """End it: idempotent, bounded (a second); may be called from the callback."""
        self._watch.close()
        self._driver.join(self._runner)

    def __enter__(self) -> Subscription[T]:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        try:
            for commit in self._watch:
                if tell(self._driver, self._callback, commit) is False:
                    break
        except ClientUnusable:
            pass
        except VisorError as error:
            self._error = error
            log.warning("a subscription ended: %s", error)
        finally:
            self._watch.close()
        self._driver.pass_on(self._error)

    def __repr__(self) -> str:
        return f"<visor subscription, called back up to rev {self.rev}>"


public("visor", Subscription)
