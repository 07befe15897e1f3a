"""Passwords for commands: from a file that only its user may read, or typed where they are not shown; never words."""

from __future__ import annotations

from visor.cli import exits
from visor.cli.problem import Problem
from visor.cli.settings import Settings

MOST = 1024
"""Bytes of a file with a password."""


def of_user(settings: Settings, user: str, file: str | None) -> str:
    """Return the password of a user. Raises Problem."""
    return _from_file(file) if file is not None else _typed(settings, f"password of {user}: ")


def new_of_user(settings: Settings, user: str, file: str | None) -> str:
    """Return a new password for a user: typed twice, as nobody sees it. Raises Problem."""
    if file is not None:
        return _from_file(file)
    typed = _typed(settings, f"new password of {user}: ")
    if _typed(settings, "again: ") != typed:
        raise Problem("the two are not the same: nothing was changed", code="refused", exit_code=exits.FAILED)
    return typed


def _from_file(file: str) -> str:
    from visor._drivers.token_file import NotPrivateError, read_secret

    try:
        data = read_secret(file, "password", MOST)
    except NotPrivateError as error:
        raise Problem(str(error)) from None
    except OSError as error:
        raise Problem(f"cannot read the password file {file}: {error.strerror}") from None
    if len(data) > MOST:
        raise Problem(f"the password file {file} is over {MOST} bytes")
    try:
        text = data.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise Problem(f"the password file {file} is not text") from None
    if not text:
        raise Problem(f"the password file {file} is empty")
    return text


def _typed(settings: Settings, prompt: str) -> str:
    if not settings.streams.stdin_is_terminal or settings.wants_json:
        raise Problem("there is no terminal to type a password at: give --password-file FILE (mode 0600)")
    import getpass

    try:
        return getpass.getpass(prompt)
    except UnicodeError:
        raise Problem("what was typed is not text") from None
    except EOFError:
        raise Problem("no password was typed", code="refused", exit_code=exits.FAILED) from None
