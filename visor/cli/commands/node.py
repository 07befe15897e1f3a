"""`rev`, `nop`, `status`, `ping`: the registry and the node itself."""

from __future__ import annotations

import time

import click

from visor.cli import views
from visor.cli.connect import connect
from visor.cli.options import POSITIVE, command, stale_option
from visor.cli.output import Output
from visor.cli.settings import Settings


@command("rev")
@stale_option
def rev_command(settings: Settings, stale: bool) -> None:
    """Print the latest rev; in JSON also the floor of history and the time of the latest commit."""
    output = Output(settings)
    with connect(settings) as client:
        horizon = client.horizon(stale=stale)
    shape = {"rev": horizon.rev, "floor": horizon.floor, "time": views.time_of(horizon.time)}
    output.result(shape, str(horizon.rev), f"rev {horizon.rev}")


@command("nop")
def nop_command(settings: Settings) -> None:
    """Go through consensus without changing anything, and print the latest rev: writes work."""
    output = Output(settings)
    with connect(settings) as client:
        rev = client.nop()
    output.result({"rev": rev}, str(rev), f"rev {rev}")


@command("status")
def status_command(settings: Settings) -> None:
    """Print what the node tells of itself."""
    output = Output(settings)
    with connect(settings) as client:
        status = client.status()
    output.facts(dict(status.told))


@command("ping")
@click.option("-c", "--count", type=POSITIVE, default=1, metavar="N", help="How many times [1].")
def ping_command(settings: Settings, count: int) -> None:
    """Exchange an empty message with the node and print how long it took, in milliseconds."""
    output = Output(settings)
    with connect(settings) as client:
        for _ in range(count):
            began = time.perf_counter()
            client.ping()
            took = round((time.perf_counter() - began) * 1000, 3)
            shape = {"address": client.address, "milliseconds": took}
            output.result(shape, f"{took:.3f}", f"{took:.3f} ms to {client.address}")
            output.flush()
