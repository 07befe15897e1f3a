"""Where the configuration file is: looked up by every call, so it costs next to nothing."""

# ruff: noqa: PTH111, PTH117, PTH118 - pathlib takes longer to load than all of this
from __future__ import annotations

import os
import sys
from collections.abc import Mapping

NAME = os.path.join("visor", "config.toml")


def of_contexts(environment: Mapping[str, str]) -> str:
    """Return where the file is (it may not exist): `$XDG_CONFIG_HOME/visor/config.toml`.

    Without the variable, or with a relative path in it (which the specification says to ignore), it is below
    `~/.config`, on a Mac below `~/Library/Application Support`. "" when nobody knows a home.
    """
    base = environment.get("XDG_CONFIG_HOME", "")
    if os.path.isabs(base):
        return os.path.join(base, NAME)
    home = environment.get("HOME") or os.path.expanduser("~")
    if not os.path.isabs(home):
        return ""
    own = os.path.join("Library", "Application Support") if sys.platform == "darwin" else ".config"
    return os.path.join(home, own, NAME)


def is_there(file: str) -> bool:
    """Whether there is anything by that name; what cannot be looked at counts as being there."""
    try:
        os.lstat(file)
    except FileNotFoundError:
        return False
    except (OSError, ValueError):
        return True
    return True
