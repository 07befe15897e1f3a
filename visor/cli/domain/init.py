"""`init`: lay out the domain; `--check` looks for what is wrong."""

from __future__ import annotations

import click

from visor.cli import exits
from visor.cli.domain.common import actor_option, domain
from visor.cli.options import command
from visor.cli.output import Output
from visor.cli.problem import Problem
from visor.cli.settings import Settings


@command("init")
@click.option("--check", is_flag=True, help="Change nothing: verify the schema and every object.")
@actor_option
def init_command(settings: Settings, check: bool) -> None:
    """Write the version of the schema, and the first port, where they are missing, and print the schema.

    With --check every file of the domain is looked at; exit code 1 when something is half there or left over.
    """
    output = Output(settings)
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
