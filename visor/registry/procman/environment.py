"""The environment of an instance: what the registry says, without what would change which code runs.

The right to write an app's variables must not be the right to choose the libraries, the interpreter's modules or the
shell's start-up file of its processes, on every host. Such variables are left out, and the log says so; what needs
one has it in the command of the process type (`env LD_PRELOAD=... prog`).

    environment({"DB": "postgres://db", "LD_PRELOAD": "/tmp/x.so"}, 8001, {"PATH": "/usr/bin"})
    {"DB": "postgres://db", "PATH": "/usr/bin", "PORT": "8001"}         LD_PRELOAD: left out, it loads libraries
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import Final

from visor._core.log import named

log = named("visor.procman")

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)

LEFT_OUT: Final[tuple[tuple[str, str], ...]] = (
    ("PATH", "it says which programs are found"),
    ("LD_*", "it loads libraries"),
    ("DYLD_*", "it loads libraries"),
    ("GLIBC_TUNABLES", "it changes the C library"),
    ("MALLOC_*", "it changes the C library"),
    ("GCONV_PATH", "it loads libraries"),
    ("LOCPATH", "it loads files into the C library"),
    ("NLSPATH", "it loads files into the C library"),
    ("HOSTALIASES", "it changes which hosts names mean"),
    ("LOCALDOMAIN", "it changes which hosts names mean"),
    ("RES_OPTIONS", "it changes which hosts names mean"),
    ("IFS", "it changes how a shell reads its scripts"),
    ("ENV", "a shell runs that file"),
    ("BASH_ENV", "a shell runs that file"),
    ("BASH_FUNC_*", "a shell runs it instead of a program"),
    ("SHELLOPTS", "it changes how a shell runs its scripts"),
    ("BASHOPTS", "it changes how a shell runs its scripts"),
    ("PS4", "a shell that traces runs it"),
    ("PROMPT_COMMAND", "a shell runs it"),
    ("CDPATH", "it changes where a shell goes"),
    ("ZDOTDIR", "a shell runs files there"),
    ("PYTHON*", "it loads modules"),
    ("PERL5*", "it loads modules"),
    ("PERLLIB", "it loads modules"),
    ("RUBYLIB", "it loads modules"),
    ("RUBYOPT", "it loads modules"),
    ("NODE_OPTIONS", "it loads modules"),
    ("NODE_PATH", "it loads modules"),
    ("LUA_*", "it loads modules"),
    ("CLASSPATH", "it loads classes"),
    ("JAVA_TOOL_OPTIONS", "it loads agents"),
    ("JDK_JAVA_OPTIONS", "it loads agents"),
    ("_JAVA_OPTIONS", "it loads agents"),
    ("OPENSSL_*", "it loads engines and trust"),
    ("SSLKEYLOGFILE", "it writes the keys of connections to a file"),
    ("GIT_*", "git runs programs that it names"),
)
"""Names, or beginnings with a star, and why. Compared without regard to case: some programs do not mind it either."""


def why_not(name: str) -> str | None:
    """Return why the registry may not set a variable; None when it may."""
    if not _NAME.fullmatch(name):
        return "it is no name of a variable"
    upper = name.upper()
    for pattern, reason in LEFT_OUT:
        if upper == pattern or (pattern.endswith("*") and upper.startswith(pattern[:-1])):
            return reason
    return None


def environment(
    variables: Mapping[str, str], port: int, own: Mapping[str, str] = os.environ
) -> dict[str, str]:
    """Return the environment of an instance; `own` is the manager's, of which only PATH is passed on."""
    kept: dict[str, str] = {}
    for name, value in variables.items():
        reason = why_not(name)
        if reason is None:
            kept[name] = value
        else:
            log.warning("the variable %s of the registry is left out: %s", name, reason)
    return {**kept, "PATH": own.get("PATH", os.defpath), "PORT": str(port)}
