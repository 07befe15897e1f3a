"""`lease`: what goes when nobody keeps it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from visor import LeaseInfo
from visor._core.recipes.lease import SHARE
from visor._drivers.clocks import boot_clock
from visor.cli import views
from visor.cli.connect import connect
from visor.cli.consent import obtain
from visor.cli.options import POSITIVE, VisorGroup, author_options, command, consent_options, seconds
from visor.cli.output import Output
from visor.cli.settings import MOST, Settings
from visor.cli.wording import counted
from visor.errors import LeaseNotFound, Unavailable

if TYPE_CHECKING:
    from visor.blocking import Client

LEASE = POSITIVE


@click.group("lease", cls=VisorGroup)
def lease_command() -> None:
    """Grant leases, and attach files to them with 'visor set --lease ID': they go when the lease ends."""


@command("grant")
@click.argument("ttl", callback=seconds)
@click.option(
    "--id", "wanted", type=click.IntRange(1 << 48, MOST), metavar="ID", help="This id, 2^48 or more."
)
def grant_command(settings: Settings, ttl: float, wanted: int | None) -> None:
    """Grant a lease of TTL (10s, 5m; 1s at least) and print its id. Nobody keeps it alive yet: see 'keep'."""
    output = Output(settings)
    with connect(settings) as client:
        lease = client.lease(ttl, keep=False, wanted=wanted or 0)
    output.result({"lease": lease.id, "ttl": lease.ttl}, str(lease.id), f"lease {lease.id}")


@command("keep")
@click.argument("leases", nargs=-1, required=True, type=LEASE, metavar="ID...")
@click.option("--once", is_flag=True, help="One time, instead of until interrupted.")
def keep_command(settings: Settings, leases: tuple[int, ...], once: bool) -> None:
    """Keep leases alive until interrupted, and print each time what they have again.

    Exit code 3 when one of them is not there any more.
    """
    output = Output(settings)
    with connect(settings) as client:
        for row in _kept(client, leases, once):
            output.result(
                {"lease": row[0], "ttl": row[1]}, f"{row[0]}\t{row[1]:g}", f"lease {row[0]}: {row[1]:g} s"
            )
            output.flush()


def _kept(client: Client[bytes], leases: tuple[int, ...], once: bool) -> Iterator[tuple[int, float]]:
    """Yield (lease, seconds) at each keep-alive; LeaseNotFound, and Unavailable when that could not be done in time."""
    shortest, sure = 0.0, boot_clock()
    while True:
        sent = boot_clock()
        try:
            rows = client.keep_alive(leases, timeout=shortest / SHARE or None)
        except Unavailable:
            if boot_clock() >= sure:
                raise
            time.sleep(min(0.2, shortest / 20))
            continue
        yield from (row for row in rows.items() if row[1])
        for lease, ttl in rows.items():
            if not ttl:
                raise LeaseNotFound(lease=lease)
        if once:
            return
        shortest = min(rows.values())
        sure = sent + shortest
        time.sleep(shortest / SHARE)


@command("revoke")
@click.argument("lease", type=LEASE, metavar="ID")
@consent_options
@author_options
def revoke_command(settings: Settings, lease: int, **options: Any) -> None:
    """End a lease, delete what is attached to it in one rev, and print the rev. Exit code 3 when there is none.

    When there is something attached a person is asked first; off a terminal --yes is needed.
    """
    output = Output(settings)
    with connect(settings, options["actor"]) as client:
        info = client.lease_info(lease)
        if options["dry_run"]:
            head = {"dry_run": True, "lease": lease, "rev": info.rev}
            output.rows(head, "changes", list(info.files or ()), views.deletions())
            return
        if info.count:
            obtain(settings, f"end lease {lease} and delete {counted(info.count, 'file')}", options["yes"])
        rev = client.revoke(lease, note=options["note"])
    output.result({"lease": lease, "rev": rev}, str(rev), f"rev {rev}")


@command("ls")
def ls_command(settings: Settings) -> None:
    """List all leases: id, time to live in seconds, how many files are attached."""
    output = Output(settings)
    with connect(settings) as client:
        output.rows({}, "leases", client.leases(), _view())


@command("show")
@click.argument("lease", type=LEASE, metavar="ID")
def show_command(settings: Settings, lease: int) -> None:
    """Show one lease: the time it has left, and what is attached to it. Exit code 3 when there is none."""
    output = Output(settings)
    with connect(settings) as client:
        info = client.lease_info(lease)
    shape = {**_shape(info), "left": info.left, "rev": info.rev, "paths": list(info.files or ())}
    lines = [
        f"{name}\t{'-' if shape[name] is None else shape[name]}" for name in ("lease", "ttl", "left", "files")
    ]
    output.facts(shape, "\n".join([*lines, *(f"path\t{path}" for path in info.files or ())]))


def _shape(info: LeaseInfo) -> dict[str, Any]:
    return {"lease": info.id, "ttl": info.ttl, "files": info.count}


def _view() -> views.View[LeaseInfo]:
    return views.View(
        _shape,
        lambda info: views.line(info.id, f"{info.ttl:g}", info.count),
        ("lease", "ttl", "files"),
        lambda info: [(str(info.id), f"{info.ttl:g} s", str(info.count))],
    )


for _each in (grant_command, keep_command, revoke_command, ls_command, show_command):
    lease_command.add_command(_each)
