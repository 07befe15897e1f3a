"""Names: which ones are accepted, and how any text becomes one component of a path without loss.

    quote("DB_URL")        "DB_URL"          kept exactly: the registry's paths know more than letters
    quote("a b/c")         "a%20b%2Fc"       what a path cannot hold, as UTF-8 in hexadecimal
    quote("..")            "%2E%2E"
    unquote(quote(text))   text              for every text

The grammar of names is that of the ancestors' `scale`, applied where a name enters and not only there: letters, digits,
`-` and `.` for apps, revisions and environments, letters and digits for process types.
"""

from __future__ import annotations

import re
from typing import Final

from visor._core.registry.errors import BadName
from visor._core.registry.schema import text as text_of
from visor._core.unfit import shown

LONGEST: Final = 200
"""Characters of a name: a component of a path holds 255 bytes, and some carry more than the name."""

_NAME: Final = re.compile(r"[A-Za-z0-9.-]+").fullmatch
_PROC: Final = re.compile(r"[A-Za-z0-9]+").fullmatch
_UNSAFE: Final = re.compile(r"[^A-Za-z0-9.\-_~@:+=,]")
_ESCAPED: Final = re.compile(r"(?:%[0-9A-F]{2})+")
_REPO: Final = re.compile(r"([^/:]+?)(?:\.git)?/*\Z")

MEMBER_KINDS: Final = ("logger", "proxy", "pm")
"""What a member can be, beside a runner."""


def name(what: str, text: str) -> str:
    """Return `text` if it can name an app, a revision, an environment; BadName, saying why, if not.

    `what` says in the error what was to be named: "app".
    """
    _is_text(what, text)
    if not text:
        raise BadName(f"{what}: a name must not be empty", name=text, what=what)
    if _NAME(text) is None or text in (".", ".."):
        raise BadName(f"{what} {text!r}: a name is letters, digits, '-' and '.'", name=text, what=what)
    return _short(what, text)


def proc(text: str) -> str:
    """Return `text` if it can name a process type: letters and digits; BadName if not."""
    _is_text("proc", text)
    if _PROC(text) is None:
        raise BadName(
            f"proc {text!r}: the name of a process type is letters and digits", name=text, what="proc"
        )
    return _short("proc", text)


def variable(text: str) -> str:
    """Return `text` if it can name an environment variable: not empty, no `=`, no NUL; BadName if not."""
    _is_text("variable", text)
    text_of("variable", text)
    if not text or "=" in text or "\0" in text:
        raise BadName(f"variable {text!r}: a name is not empty and holds no '='", name=text, what="variable")
    if len(quote(text)) > 255:
        raise BadName(f"variable {text[:20]!r}...: the name is too long", name=text, what="variable")
    return text


def host(text: str) -> str:
    """Return `text` if it can name a host: not empty, no blanks, at most 200 characters; BadName if not."""
    _is_text("host", text)
    if not text or text.split() != [text] or not text.isprintable():
        raise BadName(f"host {text!r}: a name is not empty and holds no blanks", name=text, what="host")
    return _short("host", text)


def app_of_url(url: str) -> str:
    """Return the app's name that a repository's address suggests: its last part, without `.git`.

    >>> app_of_url("git://github.com/sc/soundcloud.com.git")
    'soundcloud.com'
    """
    found = _REPO.search(text_of("repo_url", url))
    if found is None:
        raise BadName(f"the address {url!r} suggests no name: give one", name=url, what="app")
    return name("app", found[1])


def quote(text: str) -> str:
    """Return `text` as one component of a path."""
    if text in (".", ".."):
        return text.replace(".", "%2E")
    return _UNSAFE.sub(lambda found: "".join(f"%{byte:02X}" for byte in found[0].encode()), text)


def unquote(component: str) -> str:
    """Return the text that `quote` was given; ValueError when it was given none such."""
    return _ESCAPED.sub(lambda found: bytes.fromhex(found[0].replace("%", "")).decode(), component)


def _is_text(what: str, name: object) -> None:
    if not isinstance(name, str):
        raise BadName(f"{what}: a name must be text, not {shown(name)}", name=shown(name), what=what)


def _short(what: str, text: str) -> str:
    if len(quote(text)) > LONGEST:
        raise BadName(f"{what} {text[:20]!r}...: the name is too long", name=text, what=what)
    return text


def member_kind(kind: str) -> str:
    """Return the kind if members can be of it. BadName."""
    if not isinstance(kind, str) or kind not in MEMBER_KINDS:
        raise BadName(
            f"kind: one of {', '.join(MEMBER_KINDS)} expected, not {shown(kind)}",
            name=shown(kind),
            what="kind",
        )
    return kind
