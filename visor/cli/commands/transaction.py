"""`txn`: several paths at one rev, or not at all."""

from __future__ import annotations

from typing import Any

import click

from visor.blocking import Client, File
from visor.cli import payload, script, views
from visor.cli.connect import connect
from visor.cli.display import Display, chosen
from visor.cli.guards import failure, first_unmet
from visor.cli.options import author_options, command
from visor.cli.output import Output
from visor.cli.script import Script
from visor.cli.settings import Settings
from visor.errors import Rejected
from visor.op import Op
from visor.protocol import verbs
from visor.values import Result

_NAMES = {verbs.T_SET: "set", verbs.T_DELETE: "delete", verbs.T_GET: "get", verbs.T_LIST: "ls"}


@command("txn")
@click.argument("file", default="-", type=click.Path(allow_dash=True))
@click.option("-n", "--dry-run", is_flag=True, help="Check the guards and print what would run.")
@author_options
def txn_command(settings: Settings, file: str, dry_run: bool, note: str | None, actor: str | None) -> None:
    """Run the transaction in FILE (default: standard input) at one rev.

    \b
    guard rev /leader 17        guards: rev, missing, exists, since,
    guard missing /lock                 value, below, above
    then
    set /leader "node-b"        a value is a word, @FILE or base64:...
    delete -r /old
    get /config
    else                        runs when a guard does not hold
    get /leader
    note "node-a is gone"

    Or as JSON: {"guards": [{"kind": "rev", "path": "/leader", "rev": 17}], "then": [{"set": "/leader",
    "value": "node-b"}, {"delete": "/old", "recursive": true}, {"get": "/config"}], "else": [{"get":
    "/leader"}], "note": "..."}, with value_base64 or value_file in place of value.

    Exit code 4 when a guard does not hold and there is no else; 0 when else has run.
    """
    output = Output(settings)
    text = payload.from_argument("-" if file == "-" else f"@{file}", settings.streams.stdin)
    program = script.parse(text)
    with connect(settings, actor) as client:
        if dry_run:
            _plan(client, output, program)
            return
        try:
            result = client.txn(program.guards, program.then, program.orelse, note=note or program.note)
        except Rejected as error:
            raise _placed(error, program) from None
        refused = not result.succeeded and not program.orelse
        unmet = first_unmet(client, program.guards, result.rev) if refused else None
    _write_result(output, chosen(settings), program, result)
    if refused:
        raise failure(unmet)


def _placed(error: Rejected, program: Script) -> Rejected:
    """Return the error of a failing operation with its place in the transaction; any other as it is."""
    position = error.operation
    if type(position) is not int:
        return error
    where = program.place(position, error.details.get("path"))
    return type(error)(f"nothing was changed: {where}: {error}", **error.details)


def _plan(client: Client[bytes], output: Output, program: Script) -> None:
    """Check the guards at the server, without an operation, and print the branch that would run."""
    result = client.txn(program.guards)
    branch = program.then if result.succeeded else program.orelse
    head = {"dry_run": True, "rev": result.rev, "succeeded": result.succeeded}
    output.rows(head, "operations", branch, _operations())


def _operations() -> views.View[Op]:
    return views.View(
        _operation_shape,
        lambda each: views.line(_operation_name(each), each.path),
        ("what", "path"),
        lambda each: [(_operation_name(each), each.path)],
    )


def _operation_name(operation: Op) -> str:
    return f"{_NAMES[operation.kind]}{' -r' if operation.recursive else ''}"


def _operation_shape(operation: Op) -> dict[str, Any]:
    shape: dict[str, Any] = {_NAMES[operation.kind]: operation.path}
    if operation.kind == verbs.T_SET and isinstance(operation.value, bytes):
        shape |= Display().fields(operation.value)
    if operation.recursive:
        shape["recursive"] = True
    return shape


def _write_result(output: Output, display: Display, program: Script, result: Result) -> None:
    branch = program.then if result.succeeded else program.orelse
    if output.is_json:
        shapes = [_result_shape(each, display) for each in result.results]
        output.document({"rev": result.rev, "succeeded": result.succeeded, "results": shapes})
        return
    output.say(f"rev {result.rev}" if output.form == "table" else str(result.rev))
    for operation, each in zip(branch, result.results, strict=False):
        if operation.kind == verbs.T_GET:
            output.write(_got(operation.path, each))
        elif operation.kind == verbs.T_LIST and isinstance(each, list | tuple):
            for name, kind in each:
                output.write(views.line(kind, name))


def _got(path: str, result: object) -> bytes:
    if isinstance(result, File):
        return views.record(path, result.mod_rev, "set", result.data)
    return views.record(path, 0, "missing", None)


def _result_shape(result: object, display: Display) -> Any:
    """Return a file as its JSON, entries as names and kinds, and None for what gives nothing."""
    if isinstance(result, File):
        return views.file_shape(result, display)
    if isinstance(result, list | tuple):
        return [{"name": name, "kind": str(kind)} for name, kind in result]
    return None
