"""`scale`: how many instances there are, and making it another number."""

from __future__ import annotations

from typing import Any

import click

from visor.cli.domain.common import actor_option, domain, env_option
from visor.cli.options import VisorCommand
from visor.cli.output import Output
from visor.cli.settings import Settings
from visor.cli.wording import counted


class ScaleCommand(VisorCommand):
    """A command line on which `-2` is an amount and no option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Take an amount below none out of the options' way."""
        amounts = [word for word in args if word[:1] == "-" and word[1:].isdigit()]
        if amounts:
            ctx.meta["visor.amount"] = amounts[-1]
            args = [word for word in args if word not in amounts]
        return super().parse_args(ctx, args)


@click.command("scale", cls=ScaleCommand)
@click.argument("app")
@click.argument("revision")
@click.argument("proc")
@click.argument("n", required=False, metavar="[N|+N|-N]")
@env_option
@actor_option
@click.pass_obj
def scale_command(settings: Settings, /, **options: Any) -> None:
    """Have N instances of a process type, N more (+N) or N fewer (-N), and print how many there are.

    Without N only print it. Concurrent scalers never make too many or too few; down stops the oldest first.
    """
    output = Output(settings)
    amount = click.get_current_context().meta.get("visor.amount", options["n"])
    group = (options["app"], options["revision"], options["proc"])
    with domain(settings) as registry:
        if amount is None:
            count = registry.get_scale(*group, options["env"])
            shape = {
                "count": count.count,
                "stopping": count.stopping,
                "by_env": dict(count.by_env),
                "rev": count.rev,
            }
            output.result(shape, str(count.count), counted(count.count, "instance"))
            return
        scaled = registry.scale(*group, amount, options["env"])
    shape = {
        "previous": scaled.previous,
        "count": scaled.count,
        "rev": scaled.rev,
        "instances": [each.id for each in scaled.instances],
    }
    output.result(shape, str(scaled.count), counted(scaled.count, "instance"))
