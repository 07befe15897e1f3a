"""Named contexts: which registry to talk to, and as whom, kept in one TOML file.

    # $XDG_CONFIG_HOME/visor/config.toml
    current = "production"

    [contexts.production]
    addr = ["a.example:8046", "b.example:8046"]
    root = "/shop"
    cacert = "/etc/visor/ca.pem"
    cert = "/etc/visor/me.pem"
    key = "/etc/visor/me.key"
    token_file = "/home/me/.config/visor/production.token"

The file holds no secret; a token is in a file of its own, which nobody but its owner may read.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Mapping
from dataclasses import field, fields, replace
from pathlib import Path
from typing import Any

from visor._core.dataclass import dataclass
from visor._core.token import TokenError
from visor._drivers import token_file
from visor.cli import place
from visor.cli.problem import Problem

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


LARGEST = 1 << 20
"""Bytes of the configuration file."""


@dataclass(frozen=True, slots=True)
class Context:
    """One registry as a user sees it. Files are absolute paths (cacert also "system"); None is "not given"."""

    addr: tuple[str, ...] = ()
    root: str | None = None
    cacert: str | None = None
    cert: str | None = None
    key: str | None = None
    token_file: str | None = None
    server_name: str | None = None
    """The name that a node's certificate must carry, where that is not the one that is dialled."""


@dataclass(frozen=True, slots=True)
class Contexts:
    """What the file holds: the contexts by name, and which one is used when none is named."""

    current: str | None = None
    named: Mapping[str, Context] = field(default_factory=dict)

    def find(self, name: str) -> Context:
        """Return the context `name`; raises Problem, with the names there are, when missing."""
        if name in self.named:
            return self.named[name]
        known = ", ".join(sorted(self.named)) or "none is defined"
        raise Problem(f"there is no context {name!r} ({known}); add it with 'visor context add {name}'")

    def with_context(self, name: str, context: Context) -> Contexts:
        """Return a copy in which `name` is `context`; the first one added becomes the current one."""
        check_name(name)
        return Contexts(self.current or name, {**self.named, name: context})

    def without(self, name: str) -> Contexts:
        """Return a copy without `name`; raises Problem when missing."""
        self.find(name)
        left = {known: context for known, context in self.named.items() if known != name}
        return Contexts(None if self.current == name else self.current, left)

    def using(self, name: str) -> Contexts:
        """Return a copy in which `name` is the current one; raises Problem when missing."""
        self.find(name)
        return replace(self, current=name)


def check_name(name: str) -> None:
    """Raise Problem unless `name` can name a context."""
    if not _NAME.fullmatch(name):
        raise Problem(
            f"{name!r} cannot name a context; use up to 64 letters, digits, '.', '_' and '-', "
            "with a letter or digit first"
        )


def location(environment: Mapping[str, str]) -> Path:
    """Return where the file is (it may not exist); see `place`. Raises Problem when nobody knows a home."""
    file = place.of_contexts(environment)
    if not file:
        raise Problem(
            "there is no home directory for the configuration: set HOME, or XDG_CONFIG_HOME", code="config"
        )
    return Path(file)


def load(file: Path) -> Contexts:
    """Read the file; a missing one holds nothing. Raises Problem that names every wrong key at once."""
    try:
        text = _read_file(file)
    except FileNotFoundError:
        return Contexts()
    except (OSError, ValueError) as error:
        raise Problem(f"cannot read {file}: {error}") from None
    import tomllib

    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise Problem(f"{file} is not TOML: {error}") from None
    wrong: list[str] = []
    contexts = _read(document, wrong)
    if wrong:
        raise Problem(f"{file}: " + "; ".join(wrong))
    return contexts


def _read_file(file: Path) -> str:
    """Return the text of a regular file of a sensible size; a pipe must not hold every command."""
    descriptor = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as opened:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST:
            raise OSError(errno.EINVAL, f"no regular file of at most {LARGEST} bytes", str(file))
        return opened.read(LARGEST).decode("utf-8")


def _read(document: dict[str, Any], wrong: list[str]) -> Contexts:
    current = document.get("current")
    tables = document.get("contexts", {})
    wrong.extend(f"unknown key {key!r}" for key in document if key not in ("current", "contexts"))
    if current is not None and not isinstance(current, str):
        wrong.append("current must be the name of a context")
    if not isinstance(tables, dict):
        wrong.append("contexts must be a table")
        return Contexts()
    return Contexts(current, {name: _read_one(name, table, wrong) for name, table in tables.items()})


def _read_one(name: str, table: Any, wrong: list[str]) -> Context:
    if not isinstance(table, dict):
        wrong.append(f"contexts.{name} must be a table")
        return Context()
    known = {each.name for each in fields(Context)}
    wrong.extend(f"unknown key contexts.{name}.{key}" for key in table if key not in known)
    given = {key: value for key, value in table.items() if key in known}
    addresses = given.pop("addr", [])
    if isinstance(addresses, str):
        addresses = [addresses]
    if not isinstance(addresses, list) or not all(isinstance(each, str) for each in addresses):
        wrong.append(f"contexts.{name}.addr must be text or a list of texts")
        addresses = []
    bad = [key for key, value in given.items() if not isinstance(value, str)]
    wrong.extend(f"contexts.{name}.{key} must be text" for key in bad)
    return Context(tuple(addresses), **{key: value for key, value in given.items() if key not in bad})


def save(contexts: Contexts, file: Path) -> None:
    """Replace the file in one step (comments in it are lost). Raises Problem when it cannot be written."""
    write(file, dump(contexts))


def write(file: Path, text: str) -> None:
    """Put a file of this text in the place of what is there, durable on return. Raises Problem, and leaves nothing."""
    made = draft(file, text)
    try:
        made.replace(file)
    except OSError as error:
        made.unlink(missing_ok=True)  # it may be a token
        raise Problem(f"cannot write {file}: {error}") from None


def draft(file: Path, text: str) -> Path:
    """Write the text into a file beside the one that is meant, of a name that no other has. Raises Problem."""
    import tempfile

    made: Path | None = None
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=file.parent, prefix=".kept-")
        made = Path(name)
        with os.fdopen(descriptor, "w", encoding="utf-8") as out:
            out.write(text)
            out.flush()
            os.fsync(out.fileno())
    except BaseException as error:
        if made is not None:
            made.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise Problem(f"cannot write {file}: {error}") from None
        raise
    return made


def dump(contexts: Contexts) -> str:
    """Write the contexts as TOML, which `load` reads back to the same."""
    lines: list[str] = []
    if contexts.current is not None:
        lines.append(f"current = {_quoted(contexts.current)}")
    for name, context in sorted(contexts.named.items()):
        lines += ["", f"[contexts.{_quoted(name)}]"]
        lines.append(f"addr = [{', '.join(_quoted(each) for each in context.addr)}]")
        for key in (each.name for each in fields(Context) if each.name != "addr"):
            value = getattr(context, key)
            if value is not None:
                lines.append(f"{key} = {_quoted(value)}")
    return "\n".join(lines).lstrip("\n") + "\n"


def _quoted(text: str) -> str:
    """Write a TOML basic string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(c if c.isprintable() else f"\\U{ord(c):08x}" for c in escaped) + '"'


def read_token(file: str) -> str:
    """Return the token in `file`; see `visor._core.token`. Raises Problem."""
    try:
        return token_file.read(file)
    except TokenError as error:
        raise Problem(str(error)) from None
    except OSError as error:
        raise Problem(f"cannot read the token file {file}: {error.strerror}") from None
