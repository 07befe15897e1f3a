"""Says where what is public is found, however many modules it is made of.

    visor.Lock is written in visor/blocking/recipes/lock.py            public("visor", Lock)

So a traceback says `visor.store.ObjectExists`, a repr `<class 'visor.Lock'>`, and a pickle names what stays where it is
when the modules inside are arranged anew.
"""

from __future__ import annotations

import inspect
import sys
from typing import Any, get_type_hints


def public(home: str, *things: Any) -> None:
    """Let these classes and functions say that they are of the module `home`."""
    for thing in things:
        if isinstance(thing, type):
            _resolve(thing)
        thing.__module__ = home


def _resolve(kind: type) -> None:
    """Make of annotations what they mean, where they are text: that is looked up in the module that a class names."""
    own = inspect.get_annotations(kind)
    if not own or kind.__module__ not in sys.modules:
        return
    try:
        known = get_type_hints(kind, include_extras=True)
    except NameError:  # imported for type checkers only: nobody can look it up, now as before
        return
    kind.__annotations__ = {name: known[name] for name in own}
