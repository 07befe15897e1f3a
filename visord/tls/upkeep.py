"""Files of TLS that are exchanged while a node runs: read again when they have changed, and what came of it.

    upkeep = Upkeep("listen.tls_cert", cert, files, load)
    upkeep.tick()                  # from time to time: calls `load` when a file has changed
    upkeep.alarms(now)             # that the certificate ends soon, or that new files cannot be used

`load` makes all that is used of the files, or raises `TlsFileError` and changes nothing: a certificate is often there a
moment before its key. What could not be used is told once, stays an alarm, and is tried again when a file changes.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from visord.tls.material import TlsFileError, readable, stamp

logger = logging.getLogger("visord.tls")

DAY: Final = 86_400.0
ALARM_SECONDS: Final = 10 * DAY
"""What is left of a certificate when it becomes an alarm."""


class Upkeep:
    """See the module. `setting`: what names the certificate, for words. Raises what `load` does."""

    def __init__(self, setting: str, cert: Path, files: Sequence[Path], load: Callable[[], None]) -> None:
        self.setting = setting
        self.cert = cert
        self._files = tuple(files)
        self._load = load
        self._seen = [stamp(file) for file in self._files]
        load()
        self.begins, self.ends = validity(cert)
        """From when until when the certificate in use is valid: seconds since 1970."""
        self.failure = ""
        """Why files that have changed are not used; "" when those that are there are in use."""
        self.loads = 0
        """How often files were read again and used."""
        self.failures = 0
        """How often they could not be used."""

    def tick(self) -> bool:
        """Read the files again if they have changed; return whether others are in use now."""
        stamps = [stamp(file) for file in self._files]
        if stamps == self._seen:
            return False
        self._seen = stamps
        try:
            ends = validity(self.cert)
            self._load()
        except TlsFileError as error:
            self.failure = str(error)
            self.failures += 1
            logger.error("changed, and not used: %s; what was read before stays in use", error)
            return False
        self.begins, self.ends = ends
        self.failure = ""
        self.loads += 1
        logger.warning("certificate, key and authority were read again, for new connections: %s", self.cert)
        return True

    def left(self, now: float) -> float:
        """Return for how many seconds the certificate is valid; negative when it has expired."""
        return self.ends - now

    def alarms(self, now: float) -> Iterator[str]:
        """Yield what an operator has to do. `now`: seconds since 1970."""
        named, left = f"{self.setting} ({self.cert})", self.left(now)
        if left <= 0:
            yield f"certificate: {named} expired {_days(-left)} ago: nobody who checks it connects; put a new one there"
        elif now < self.begins:
            yield f"certificate: {named} is valid in {_days(self.begins - now)} only: is this machine's clock right?"
        elif left <= ALARM_SECONDS:
            yield f"certificate: {named} expires in {_days(left)}: put a new one there, no restart is needed"
        if self.failure:
            yield f"certificate not read: {self.setting}: {self.failure}; what was read before stays in use"


def _days(seconds: float) -> str:
    if seconds >= 2 * DAY:
        return f"{seconds / DAY:.0f} days"
    return f"{seconds / 3600:.0f} hours" if seconds >= 7200 else f"{seconds / 60:.0f} minutes"


def validity(cert: Path) -> tuple[float, float]:
    """Return from when until when the first certificate in a file is valid. Raises `TlsFileError` naming it."""
    from cryptography import x509  # not needed, nor loaded, by a node without TLS

    try:
        found = x509.load_pem_x509_certificate(readable(cert))
    except ValueError as error:
        raise TlsFileError(f"{cert}: no certificate that can be read: {error}") from error
    return found.not_valid_before_utc.timestamp(), found.not_valid_after_utc.timestamp()
