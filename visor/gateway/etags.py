"""Entity tags: the rev that wrote a file last, in quotes. As conditions of a read, and as guards of a write.

ETag: "7"                 the file as rev 7 wrote it
If-Match: "7"             only if that is what stands there;  If-Match: *       only if there is such a file
If-None-Match: "7"        only if it is something else;       If-None-Match: *  only if there is no such file
"""

from __future__ import annotations

import re
from typing import Final

from visor import guard
from visor.gateway.problems import NotServed
from visor.guard import Guard

ANY: Final = "*"
_TAG: Final = re.compile(r'\s*(W/)?"([\x21\x23-\x7e]*)"\s*(?:,|\Z)')
_REV: Final = re.compile(r"0|[1-9][0-9]{0,18}")


def of_rev(rev: int) -> str:
    """Return the tag of a file that this rev wrote."""
    return f'"{rev}"'


def parse(text: str, name: str) -> list[tuple[bool, str]]:
    """Return the tags of a header as `(weak, text)`; NotServed for what is none. `*` is `[(False, "*")]`."""
    if text.strip() == ANY:
        return [(False, ANY)]
    found, place = [], 0
    while place < len(text):
        match = _TAG.match(text, place)
        if match is None:
            raise NotServed("usage", f'{name} must be * or tags in quotes, as "7", not {text[:40]!r}')
        found.append((match[1] is not None, match[2]))
        place = match.end()
    if not found:
        raise NotServed("usage", f"{name} is empty")
    return found


def guard_of(match: str | None, none_match: str | None) -> Guard | None:
    """Return the guard that a write's conditions are, None without any. NotServed for what no guard can say."""
    if match is not None and none_match is not None:
        raise NotServed("usage", "a write takes If-Match or If-None-Match, not both")
    if none_match is not None:
        if parse(none_match, "If-None-Match") != [(False, ANY)]:
            raise NotServed("usage", "a write takes If-None-Match: * alone: only if there is no such file")
        return guard.missing()
    if match is None:
        return None
    tags = parse(match, "If-Match")
    if tags == [(False, ANY)]:
        return guard.exists()
    if len(tags) != 1 or tags[0][0] or _REV.fullmatch(tags[0][1]) is None:
        raise NotServed("usage", f'a write takes one tag as ETag gave it, If-Match: "7", not {match[:40]!r}')
    return guard.rev(int(tags[0][1]))


def holds(tag: str, match: str | None) -> bool:
    """Say whether If-Match lets a read of a file with this tag go on: weak tags never match."""
    if match is None:
        return True
    return any(not weak and each in (ANY, tag.strip('"')) for weak, each in parse(match, "If-Match"))


def fresh(tag: str, none_match: str | None) -> bool:
    """Say whether who sent this If-None-Match has the file with this tag already: 304."""
    if none_match is None:
        return False
    return any(each in (ANY, tag.strip('"')) for _, each in parse(none_match, "If-None-Match"))
