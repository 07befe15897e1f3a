"""What of a selector is granted: itself, or the selectors that mean all of it that is.

    asked       granted                          narrowed to
    /**         /apps/**  /hosts/*/info          /apps/**  /hosts/*/info
    /apps/**    /**                              /apps/**, which is the whole
    /*/config   /apps/**  /hosts/a/config        /apps/config  /hosts/a/config
    /a*b/**     /a?b*/**                         nothing: no selector says what both mean; `left_out`

Whoever may read a part asks for that part by name, and a request that goes beyond it is refused as ever: this only
tells what to ask for. It never means more than is granted. What two globs mean together is found component by
component; where no glob says it, it is left out, and that is told. So is what is left when the effort is over: each
pair of globs that is looked at takes some of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from visor.protocol.verbs import SEL_GLOB, SEL_PATH, SEL_RANGE, SEL_TREE
from visord.state.auth.coverage import left_out
from visord.state.auth.effort import Effort
from visord.state.auth.rights import Rights, as_globs
from visord.state.selector import Selector, raw_of

DEEP: Final = "**"
MOST: Final = 256
"""Globs that are looked at on either side."""
LOOK: Final = 4
"""Steps that it takes to look at two globs, beside their components."""


class Narrowed(NamedTuple):
    """What of a selector is granted."""

    parts: list[list[object]]
    """Selectors as a message has them; none: nothing is granted."""
    whole: bool
    """It is all that was asked for."""
    left_out: bool
    """There may be more that is granted, and that no selector says."""


class _Globs(NamedTuple):
    texts: list[str]
    left_out: bool


def narrow(rights: Rights, wanted: Sequence[str], selector: Selector, effort: Effort) -> Narrowed:
    """Return what of a selector all the rights that are `wanted` are granted on."""
    if all(rights.covers(right, selector, effort) for right in wanted):
        return Narrowed([raw_of(selector.form)], True, False)
    ranges = [part for part in selector.parts if part.kind == SEL_RANGE]
    kept = [part for part in ranges if all(rights.covers(right, part, effort) for right in wanted)]
    found = _Globs([text for part in selector.parts if part not in ranges for text in as_globs(part)], False)
    for right in wanted:
        found = _meet(found, rights.texts(right), effort)
    left = found.left_out or len(kept) < len(ranges) or effort.over
    parts = [*(raw_of(part.form) for part in kept), *_said(_needed(found.texts, effort))]
    return Narrowed(parts, False, left)


def _meet(asked: _Globs, granted: Sequence[str], effort: Effort) -> _Globs:
    """Return the globs that mean what a glob of either side means."""
    found: dict[str, None] = {}
    missed = asked.left_out or len(asked.texts) > MOST or len(granted) > MOST
    for one in asked.texts[:MOST]:
        for other in granted[:MOST]:
            if effort.over:
                return _Globs(list(found), True)
            both = meet(one, other, effort)
            if both is None:
                missed = True
            elif both:
                found[both] = None
    return _Globs(list(found), missed)


def meet(one: str, other: str, effort: Effort) -> str | None:
    """Return the glob that means what both do: "" where they have nothing in common, None where none says it."""
    both = _unified(one.split("/")[1:], other.split("/")[1:], effort)
    if both is not None:
        return both
    if left_out(one, [other], effort) is None:
        return one
    return other if left_out(other, [one], effort) is None else None


def _unified(one: list[str], other: list[str], effort: Effort) -> str | None:
    effort.left -= LOOK + len(one) + len(other)
    if any(
        DEEP in name and (name != DEEP or place < len(names) - 1)
        for names in (one, other)
        for place, name in enumerate(names)
    ):
        return None if _may_meet(one, other, effort) else ""
    first, first_deep = _cut(one)
    second, second_deep = _cut(other)
    if (len(first) < len(second) and not first_deep) or (len(second) < len(first) and not second_deep):
        return ""
    if len(first) == len(second) and first_deep != second_deep:
        return ""  # one means what is below, the other what is there
    longer, deep = (first, first_deep) if len(first) >= len(second) else (second, second_deep)
    names: list[str] = []
    sure = True
    for mine, its in zip(first, second, strict=False):
        name = _name(mine, its, effort)
        if name == "":
            return ""
        sure = sure and name is not None
        names.append(name or "")
    if not sure:
        return None
    return "/" + "/".join([*names, *longer[len(names) :], *([DEEP] if deep else [])])


def _cut(names: list[str]) -> tuple[list[str], bool]:
    """Return components without a `**` at the end, and whether there is one."""
    return (names[:-1], True) if names[-1] == DEEP else (names, False)


def _name(one: str, other: str, effort: Effort) -> str | None:
    """Return the component that means what both do; "" for nothing, None where none says it."""
    if one == other or other == "*":
        return one
    if one == "*":
        return other
    if not _wild(one) and not _wild(other):
        return ""
    for mine, its in ((one, other), (other, one)):
        if not _wild(mine):
            return mine if left_out(f"/{mine}", [f"/{its}"], effort) is None else ""
    return None


def _may_meet(one: list[str], other: list[str], effort: Effort) -> bool:
    """Tell, in doubt with yes, whether there may be a path that both mean."""
    for mine, its in zip(one, other, strict=False):
        if DEEP in mine or DEEP in its:
            return True
        if _name(mine, its, effort) == "":
            return False
    return len(one) == len(other)


def _wild(name: str) -> bool:
    return "*" in name or "?" in name


def _needed(texts: list[str], effort: Effort) -> list[str]:
    """Return the globs without those that another one means as well, as far as the effort goes."""
    kept: list[str] = []
    for place, text in enumerate(ordered := sorted(texts, key=len)):
        if effort.over:
            return sorted({*kept, *ordered[place:]})
        if left_out(text, kept, effort) is not None:
            kept = [one for one in kept if left_out(one, [text], effort) is not None]
            kept.append(text)
    return sorted(kept)


def _said(texts: Iterable[str]) -> list[list[object]]:
    """Return globs as selectors: a path and all below it are a tree."""
    globs = set(texts)
    found: list[list[object]] = []
    for text in sorted(globs):
        above = text.removesuffix("/**")
        if above != text and not _wild(above) and (above in globs or not above):
            found.append([SEL_TREE, above or "/"])
        elif not _wild(text):
            if f"{text}/**" not in globs:
                found.append([SEL_PATH, text])
        else:
            found.append([SEL_GLOB, text])
    return found
