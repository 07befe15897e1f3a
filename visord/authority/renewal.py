"""This member's certificate, renewed while it runs: at a random moment between half and four fifths of its life.

    due -> a new key, and a request for it -> signed here (a voter holds the authority's key) or by the leader
        -> one file takes the place of the one before -> `tls/upkeep` reads it, and new connections show it

Random, so that members that were made together do not all renew at once. The names stay what they were: they are read
from the certificate before, which must be this member's and the authority's. After `visord recover` the cluster has
another id, and the survivor a certificate of the one before: it is renewed at once. Only a member of the committed
configuration renews: that of one that was removed runs out.

What fails is tried again every ten minutes, and is an alarm from the second time on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from visord.authority.authority_files import AuthorityFiles
from visord.authority.handover import Background, Consensus
from visord.authority.issuing import (
    CertificateError,
    key_digest,
    key_pem,
    names_of,
    new_key,
    read_certificate,
    read_request,
    request_of,
)
from visord.authority.office import Made, Office
from visord.state.refusal import Refusal

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric import ec

logger = logging.getLogger("visord.authority")

EARLIEST: Final = 0.5
LATEST: Final = 0.8
"""Parts of a certificate's life between which it is renewed."""
RETRY_SECONDS: Final = 600.0
ALARMING: Final = 2
"""Failures in a row from which on it is an alarm."""


class Renewal:
    """See the module. `now()`: seconds since 1970. `time()`: monotonic seconds. `random()`: from 0 to 1."""

    def __init__(
        self,
        office: Office,
        files: AuthorityFiles,
        consensus: Consensus,
        now: Callable[[], float],
        time: Callable[[], float],
        random: Callable[[], float],
        background: Background,
    ) -> None:
        self._office = office
        self._files = files
        self._consensus = consensus
        self._now = now
        self._time = time
        self._random = random
        self._background = background
        self._next_try = 0.0
        self._under_way = False
        self._failures = 0
        self._failure = ""
        self._certificate = b""
        self.due: float | None = None
        """When the certificate is renewed; None: it is not this node's to renew."""
        certificate = None if office.authority is None else files.read_member()
        if certificate is not None:
            self._use(certificate)

    def _use(self, certificate: bytes) -> None:
        """This is the certificate now."""
        found = read_certificate(certificate)
        begins, ends = found.not_valid_before_utc.timestamp(), found.not_valid_after_utc.timestamp()
        self._certificate = certificate
        if names_of(found)[0] != self._office.cluster:
            self.due = (
                begins  # the cluster was recovered: for the others this certificate is of the one before
            )
            return
        self.due = begins + (ends - begins) * (EARLIEST + (LATEST - EARLIEST) * self._random())

    def tick(self) -> None:
        """From time to time: renew the certificate when it is due."""
        if self.due is None or self._under_way or self._now() < self.due or self._time() < self._next_try:
            return
        members = self._consensus.committed_configuration.members
        if all(one.id != self._consensus.member for one in members):
            return
        self._next_try = self._time() + RETRY_SECONDS
        self._under_way = True
        key = new_key()
        request = request_of(key)
        self._office.renew(request, self._certificate, lambda made: self._answered(key, request, made))

    def _answered(self, key: ec.EllipticCurvePrivateKey, request: bytes, made: Made) -> None:
        if isinstance(made, Refusal):
            self._failed(made.text)
            return
        certificate, authority = made.get("certificate"), self._office.authority
        assert authority is not None
        try:
            if not isinstance(certificate, bytes):
                raise CertificateError("the answer has none")
            found = read_certificate(certificate)
            mine = key_digest(read_request(request)) == key_digest(found.public_key())  # type: ignore[arg-type]
            _, before = names_of(read_certificate(self._certificate))
            if not mine or not authority.made(found) or names_of(found) != (self._office.cluster, before):
                raise CertificateError("it is another one than was asked for")
        except CertificateError as error:
            self._failed(f"the certificate that was made cannot be used: {error}")
            return
        self._background.submit(
            lambda: self._files.keep_member(certificate, authority.pem, key_pem(key)),
            lambda _, error: self._kept(certificate, error),
        )

    def _kept(self, certificate: bytes, error: BaseException | None) -> None:
        if error is not None:
            self._failed(f"it could not be written: {error}")
            return
        self._under_way, self._failures, self._failure = False, 0, ""
        self._next_try = 0.0
        self._use(certificate)
        logger.info("this member's certificate was renewed")

    def _failed(self, why: str) -> None:
        self._under_way = False
        self._failures += 1
        self._failure = why
        logger.warning("this member's certificate could not be renewed, which is tried again: %s", why)

    def alarms(self) -> Iterator[str]:
        """Yield what an operator has to look at."""
        if self._failures >= ALARMING:
            yield (
                f"certificate not renewed: {self._failures} times since it was due: {self._failure}; it is tried again "
                f"every {RETRY_SECONDS:g} s, and members that have no certificate any more are not let in"
            )
