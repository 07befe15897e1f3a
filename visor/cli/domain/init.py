"""`init`: lay out the domain; `--check` looks for what is wrong."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import click

from visor.cli import exits
from visor.cli.consent import obtain
from visor.cli.domain.common import actor_option, domain
from visor.cli.options import command
from visor.cli.output import Output
from visor.cli.problem import Problem
from visor.cli.settings import Settings
from visor.errors import Conflict, NotFound

if TYPE_CHECKING:
    from visor.registry import Registry


@command("init")
@click.option("--check", is_flag=True, help="Change nothing: verify the schema and every object.")
@click.option(
    "--repair", is_flag=True, help="Bring files that cannot be read back from copies, or take them out."
)
@click.option("-y", "--yes", is_flag=True, help="Repair without asking.")
@actor_option
def init_command(settings: Settings, check: bool, repair: bool, yes: bool) -> None:
    """Write the version of the schema, and the first port, where they are missing, and print the schema.

    With --check every file of the domain is looked at; exit code 1 when something is half there or left over. With
    --repair those that cannot be read are dealt with: an instance or a ticket comes back from a copy of its record if
    there is one, everything else goes and can be registered anew.
    """
    output = Output(settings)
    if repair:
        with domain(settings) as registry:
            _repair(settings, output, registry, yes)
        return
    with domain(settings) as registry:
        schema = registry.verify_schema() if check else registry.init()
        faults = registry.verify() if check else []
    if not check:
        output.result({"schema": schema}, str(schema), f"schema {schema}")
        return
    shape = {"schema": schema, "faults": [{"path": each.path, "what": each.what} for each in faults]}
    output.result(shape, "\n".join(map(str, faults)) or "all is well")
    if faults:
        raise Problem(f"{len(faults)} files are not as they should be", code="faults", exit_code=exits.FAILED)


def _repair(settings: Settings, output: Output, registry: Registry, yes: bool) -> None:
    """Deal with every file that cannot be read, one after the other, and tell what became of each."""
    registry.verify_schema()
    done = []
    bad = [each.path for each in registry.verify() if each.unreadable]
    if bad:
        obtain(settings, f"bring back or take out {', '.join(bad[:3])}{' ...' if len(bad) > 3 else ''}", yes)
    for path in bad:
        with contextlib.suppress(NotFound, Conflict):  # it went, or came back, with another one
            done.append(registry.repair(path))
    shape = [{"path": each.path, "restored": each.restored, "rev": each.rev} for each in done]
    words = [f"{each.path}: {'brought back' if each.restored else 'taken out'}" for each in done]
    output.result({"repaired": shape}, "\n".join(words) or "every file can be read")
