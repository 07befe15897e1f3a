"""Failures on standard error: one line that says what was wrong, what was expected, what to do.

    visor: /a: expected rev 3, found rev 7; read it again and decide again

With `--json` the line is an object for programs instead:

    {"error": {"code": "rev_mismatch", "message": "...", "hint": "...", "details": {...}, "exit_code": 4}}
"""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import Any

from visor import errors
from visor._core.harmless import harmless, json_text
from visor.cli import exits
from visor.cli.problem import Problem

HINTS: dict[type[Exception], str] = {
    errors.RevMismatch: "read it again and decide again",
    errors.Exists: "a plain 'visor set' replaces it",
    errors.GuardFailed: "read it again and decide again",
    errors.LeaseExists: "take another id, or none",
    errors.LeaseNotFound: "'visor lease ls' lists those that are there",
    errors.LeaseLost: "what it protected may be somebody else's now: begin anew",
    errors.NotFound: "look around with 'visor ls'",
    errors.IsDirectory: "look into it with 'visor ls', or delete it with 'visor del --recursive'",
    errors.NotDirectory: "a path is a file or a directory, never both",
    errors.BadPath: "a path looks like /service/name",
    errors.BadGlob: "a glob looks like /service/*/port, /service/** or /{web,db}/port; quote it from the shell",
    errors.Compacted: "ask for a rev from the floor on ('visor rev --json' tells it)",
    errors.FutureRev: "'visor rev' tells the latest",
    errors.Denied: "check the token (VISOR_TOKEN_FILE, or the context's token_file)",
    errors.NoMember: "'visor cluster members' lists them",
    errors.Unsafe: "nothing was changed; look at 'visor cluster health' first",
    errors.NoSpace: "nothing was changed; free space on the server, reads go on",
    errors.DeadlineExceeded: "give more time with --timeout",
    errors.Unavailable: "nothing was changed; run it again",
    errors.OutcomeUnknown: "look before you run it again",
    errors.DecodeError: "read it without --codec to get the bytes",
}
"""What to do; the nearest base counts, and an error's own advice before all of them."""


UNKNOWN_NAME = (socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME))
"""What the look-up of a name says that nobody has; not what it says when it could not be done just now."""


def _wrong_address(error: errors.VisorError) -> str | None:
    """Return the advice for an address behind which nothing can be: running it again brings nothing."""
    late = error.__cause__ if type(error) is errors.Unavailable else None
    cause = late.__cause__ if isinstance(late, errors.DeadlineExceeded) else None
    if isinstance(cause, FileNotFoundError) or getattr(cause, "errno", None) in UNKNOWN_NAME:
        return "nothing was changed; check the address"
    return None


ADVISERS: list[Callable[[errors.VisorError], str | None]] = [_wrong_address]
"""What knows better than `HINTS` by what an error is about: asked first."""


def hint(error: errors.VisorError) -> str | None:
    """Return what to do about an error, if anything is known: the error's own advice, if it has some."""
    for adviser in ADVISERS:
        if (advice := adviser(error)) is not None:
            return advice
    if error.advice is not None:
        return error.advice
    for kind in type(error).__mro__:
        if kind in HINTS:
            return HINTS[kind]
    return None


def describe(error: errors.VisorError | Problem) -> tuple[str, dict[str, Any]]:
    """Return the line for people (without `visor: `) and the object for programs."""
    message = _message(error)
    if isinstance(error, Problem):
        return message, {"code": error.code, "message": message, "exit_code": error.exit_code}
    shape: dict[str, Any] = {"code": error.code, "message": message}
    advice = hint(error)
    if advice is not None:
        shape["hint"] = advice
    shape["details"] = {name: _detail(value) for name, value in error.details.items()}
    shape["exit_code"] = exits.exit_code(error)
    return (f"{message}; {advice}" if advice else message), shape


def _message(error: errors.VisorError | Problem) -> str:
    """Return the error's own words as one line that no terminal minds."""
    text = harmless(str(error))
    if isinstance(error, errors.NotFound) and error.rev is not None and "at rev" not in text:
        return f"{text} at rev {error.rev}"
    return text


def _detail(value: object) -> Any:
    if isinstance(value, bytes):
        import base64

        return {"base64": base64.b64encode(value).decode("ascii")}
    if isinstance(value, list | tuple):
        return [_detail(each) for each in value]
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def report(error: errors.VisorError | Problem, as_json: bool) -> str:
    """Return what goes to standard error, its line end included: a line of words or of JSON."""
    text, shape = describe(error)
    if as_json:
        return json_text({"error": shape}) + "\n"
    if isinstance(error, Problem) and error.help is not None:
        return f"{error.help}\n"
    return f"visor: {text}\n"
