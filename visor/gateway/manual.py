"""The gateway's own pages: what the API can, what each problem means. HTML without a script, nothing from outside."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from html import escape
from typing import Final

from visor._version import __version__
from visor.console import PAGE, assets
from visor.gateway import openapi, problems, runbook, signing_in
from visor.gateway.page import Lasting, Page
from visor.gateway.router import Route

STRICT: Final = {
    "content-security-policy": "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
}
CONSOLE: Final = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}
"""Nothing from outside, no script in a page. Styles that scripts set on elements are no inline styles to this."""
KEEP: Final = {"cache-control": "private, max-age=300"}
STYLE: Final = """\
:root { color-scheme: light dark; --line: #8884; --soft: #8882; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 0 auto; padding: 1.5rem; }
h1 { font-size: 1.6rem; } h2 { font-size: 1.15rem; margin-top: 2rem; text-transform: capitalize; }
table { border-collapse: collapse; width: 100%; } th { text-align: left; font-weight: 600; }
td, th { border-bottom: 1px solid var(--line); padding: .35rem .8rem .35rem 0; vertical-align: top; }
code { background: var(--soft); border-radius: 4px; padding: .1rem .3rem; overflow-wrap: anywhere; }
pre { background: var(--soft); border-radius: 4px; padding: .6rem .8rem; overflow-x: auto; }
tr:target { background: #fc06; }
small { opacity: .75; } a { color: inherit; text-underline-offset: .2em; }
"""
FAMILIES: Final = {
    "rejected": "It did not happen. The same request fails again until something changes.",
    "unavailable": "It was not accepted. Sending it again is safe.",
    "unknown": "It may have happened: look before doing it again, or send it again under the same Idempotency-Key.",
}


def pages(routes: Iterable[Route]) -> dict[str, Page]:
    """Return all pages by their paths; each is made when it is asked for first."""
    table = tuple(routes)
    found = {
        **_console(),
        "/docs": _page(lambda: _index(table)),
        "/docs/problems": _page(_problems),
        runbook.PAGE: _page(lambda: _html("At three in the morning", runbook.html())),
        "/docs/style.css": Page(Lasting(STYLE.encode), "text/css; charset=utf-8", headers=KEEP),
        "/openapi.json": Page(
            Lasting(lambda: json.dumps(openapi.describe(table), indent=1).encode()),
            "application/json",
            headers=KEEP,
        ),
    }
    for code in problems.pages():
        found[problems.PAGES + code] = _page(partial(_problem, code))
    return found


def _console() -> dict[str, Page]:
    """Return the console: its page at `/`, what that loads below `/console/`."""
    found = {
        f"/console/{name}": Page(
            Lasting(partial(bytes, data)), kind, headers={**CONSOLE, "cache-control": "no-cache"}
        )
        for name, (kind, data) in assets().items()
    }
    found["/"] = found.pop(f"/console/{PAGE}")
    return found


def _page(make: Callable[[], str]) -> Page:
    return Page(Lasting(lambda: make().encode()), headers={**STRICT, **KEEP})


def _html(title: str, body: str) -> str:
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        '<meta name="viewport" content="width=device-width"><link rel="stylesheet" href="/docs/style.css"></head>'
        f"<body><h1>{escape(title)}</h1>{body}</body></html>\n"
    )


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a table; cells are HTML already."""
    top = "".join(f"<th>{escape(name)}</th>" for name in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"


def _index(routes: tuple[Route, ...]) -> str:
    groups: dict[str, list[Route]] = {}
    for route in routes:
        groups.setdefault(route.group, []).append(route)
    parts = [
        f"<p>Version {escape(__version__)}. The description for programs is <a href='/openapi.json'>/openapi.json</a>; "
        "every error is one of <a href='/docs/problems'>these problems</a>. What to do about an alarm: "
        "<a href='/docs/runbook'>the runbook</a>.</p>",
        "<p>Send <code>Authorization: Bearer vis_...</code> where the registry asks who you are; a browser that "
        f"has signed in sends its cookie, and <code>{signing_in.KEY}</code> beside it. Every answer has "
        "<code>Visor-Rev</code>.</p>",
    ]
    for group, found in groups.items():
        parts.append(f"<h2>{escape(group)}</h2>")
        parts.append(_table(("", ""), (_row(route) for route in found)))
    return _html("The registry over HTTP", "".join(parts))


def _row(route: Route) -> tuple[str, str]:
    words = [escape(route.about)]
    for param in (*route.params, *route.headers):
        words.append(f"<small><code>{escape(param.name)}</code> {escape(param.about)}</small>")
    return f"<code>{route.method} {escape(route.template)}</code>", "<br>".join(words)


def _problems() -> str:
    rows: Mapping[str, tuple[int, str, str]] = dict(sorted(problems.pages().items()))
    return _html(
        "Problems",
        _table(
            ("code", "status", "family", "what it means"),
            (
                (f"<a href='{problems.PAGES}{code}'>{escape(code)}</a>", str(status), family, escape(words))
                for code, (status, family, words) in rows.items()
            ),
        ),
    )


def _problem(code: str) -> str:
    status, family, words = problems.pages()[code]
    rows = (
        ("status", str(status)),
        ("family", f"{family}: {escape(FAMILIES[family])}"),
    )
    body = f"<p>{escape(words)}</p>{_table(('', ''), rows)}<p><a href='/docs/problems'>All problems</a></p>"
    return _html(code.replace("_", " "), body)
