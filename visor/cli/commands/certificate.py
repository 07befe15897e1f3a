"""`certificate`: those that were taken back, of users and of members."""

from __future__ import annotations

from typing import Any

import click

from visor.auth import RevokedCertificate
from visor.cli import views
from visor.cli.connect import connect
from visor.cli.options import VisorGroup, author_options, command
from visor.cli.output import Output
from visor.cli.problem import Problem
from visor.cli.settings import Settings

DIGITS = 64
LARGEST = 1 << 20
"""Bytes of a file with a certificate."""


@click.group("certificate", cls=VisorGroup)
def certificate_command() -> None:
    """Certificates that were taken back: they prove nothing any more, on any member.

    A user that is deleted, and a member that is removed, take their certificates along: this is for one that was lost
    while its owner stays.
    """


@command("ls")
def ls_command(settings: Settings) -> None:
    """List them: fingerprint, since when, and why."""
    output = Output(settings)
    with connect(settings) as client:
        output.rows({}, "revoked", client.auth.revoked_certificates(), _revoked())


def _revoked() -> views.View[RevokedCertificate]:
    def fields(row: RevokedCertificate) -> views.Cells:
        return (row.fingerprint, views.time_of(row.at), row.purpose or "-")

    return views.View(
        lambda row: {
            "fingerprint": row.fingerprint,
            "at": views.time_of(row.at),
            "purpose": row.purpose or None,
        },
        lambda row: views.line(*fields(row)),
        ("fingerprint", "since", "why"),
        lambda row: [fields(row)],
    )


@command("revoke")
@click.argument("certificate", metavar="FILE|FINGERPRINT", type=click.Path())
@click.option("--for", "purpose", default="", metavar="TEXT", help="Why; shown in the list.")
@author_options
def revoke_command(settings: Settings, certificate: str, purpose: str, **options: Any) -> None:
    """Take a certificate back, by its PEM file or its SHA-256 fingerprint: who is connected with it is sent away."""
    output = Output(settings)
    fingerprint = _fingerprint(certificate)
    with connect(settings, options["actor"]) as client:
        client.auth.revoke_certificate(fingerprint, purpose=purpose, note=options["note"])
    output.result({"fingerprint": fingerprint}, fingerprint, f"{fingerprint} proves nothing any more")


@command("allow")
@click.argument("certificate", metavar="FILE|FINGERPRINT", type=click.Path())
@author_options
def allow_command(settings: Settings, certificate: str, **options: Any) -> None:
    """Let a certificate that was taken back be good again."""
    output = Output(settings)
    fingerprint = _fingerprint(certificate)
    with connect(settings, options["actor"]) as client:
        client.auth.allow_certificate(fingerprint, note=options["note"])
    output.result({"fingerprint": fingerprint}, fingerprint, f"{fingerprint} is good again")


def _fingerprint(text: str) -> str:
    """Return the fingerprint that is typed, or that of the certificate in a file. Raises Problem."""
    digits = text.rpartition("=")[2].replace(":", "").strip().lower()
    if len(digits) == DIGITS and set(digits) <= set("0123456789abcdef"):
        return digits
    import hashlib
    import ssl
    from pathlib import Path

    try:
        with Path(text).open("rb") as file:
            pem = file.read(LARGEST).decode("ascii", "replace")
    except OSError as error:
        raise Problem(
            f"{text!r:.200} is no SHA-256 fingerprint ({DIGITS} hexadecimal digits), and no file that can be read: "
            f"{error.strerror}"
        ) from None
    begins, ends = pem.find(ssl.PEM_HEADER), pem.find(ssl.PEM_FOOTER)
    if begins < 0 or ends < begins:
        raise Problem(f"{text}: there is no certificate (PEM) in it")
    try:
        encoded = ssl.PEM_cert_to_DER_cert(pem[begins : ends + len(ssl.PEM_FOOTER)])
    except ValueError as error:
        raise Problem(f"{text}: the certificate in it cannot be read: {error}") from None
    return hashlib.sha256(encoded).hexdigest()


for _each in (ls_command, revoke_command, allow_command):
    certificate_command.add_command(_each)
