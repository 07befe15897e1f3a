"""The one table of the API: what there is, who handles it, which parameters it takes.

OpenAPI and the pages are made from it.
"""

from __future__ import annotations

from typing import Any, Final

from visor.gateway import (
    accept,
    at_once,
    cluster,
    cluster_live,
    discovery,
    domain,
    files,
    fleet,
    leases,
    locks,
    past,
    reading,
    signing_in,
    watchers,
    watching,
    writing,
)
from visor.gateway.params import AT, FLAG, REV, TEXT, TEXTS, Param, choice, duration, several, whole
from visor.gateway.router import IN, OUT, Route

ANY: Final[dict[str, Any]] = {"type": "string", "format": "binary"}
_AT: Final = Param(
    "at", AT, "Read the state at a rev, at a time, or as of so long ago; the latest without it."
)
_STALE: Final = Param(
    "consistency", choice("linearizable", "stale"), "`stale` reads what one node has, which may be old."
)
_MIN: Final = Param(
    "min_rev", REV, "Wait until this rev is there: what you have just written, by any gateway."
)
_IF_MATCH: Final = Param(
    "If-Match", TEXT, 'Only if the file is what `ETag` said: `"7"`; `*`: only if there is one.'
)
_IF_NONE: Final = Param(
    "If-None-Match", TEXT, "`*`: only if there is no such file; of a read: 304 if nothing changed."
)
_NOTE: Final = Param("Visor-Note", TEXT, "Why: kept in history.")
_LEASE: Final = Param("Visor-Lease", TEXT, "The number of a lease: the file goes when that ends.")

FILES: Final = (
    Route(
        "GET", "/v1/files/{path}", files.read, "Read a file: its value as it is, or as JSON all about it.",
        (_AT, _STALE, _MIN), (_IF_MATCH, _IF_NONE), raw=True, forms=(accept.RAW,), group="files",
    ),
    Route(
        "HEAD", "/v1/files/{path}", files.head, "The same without the value.",
        (_AT, _STALE, _MIN), (_IF_MATCH, _IF_NONE), raw=True, group="files",
    ),
    Route(
        "PUT", "/v1/files/{path}", files.write, "Write a file: the body is the value.",
        (), (_IF_MATCH, _IF_NONE, _NOTE, _LEASE), ANY, raw=True, once=True, group="files",
    ),
    Route(
        "DELETE", "/v1/files/{path}", files.delete, "Delete a file, or a whole subtree.",
        (Param("recursive", FLAG, "The directory and all below.", False),), (_IF_MATCH, _NOTE), once=True,
        group="files",
    ),
)  # fmt: skip

_CURSOR: Final = Param(
    "cursor", TEXT, "`next` of the page before: the same reading goes on, at the same rev."
)
_VALUES: Final = Param("values", FLAG, "With the values.", False)
_GLOB: Final = Param(
    "glob", TEXTS, "Which files: `/apps/**`, `/{web,db}/*`; several mean any of them. All without it."
)
_REVERSE: Final = Param("reverse", FLAG, "The last one first.", False)
_FROM: Final = Param("from", AT, "The first rev, or after this time; the oldest known without it.")
_TO: Final = Param("to", AT, "The last rev, or up to this time; the latest without it.")
_PREVIOUS: Final = Param("previous", FLAG, "With the values that were replaced.", False)


def _limit(most: int, usual: int) -> Param:
    return Param("limit", whole(1, most), f"Rows of a page at most [{usual}].", usual)


_ROWS: Final = (_limit(1000, 500), _CURSOR)
_STATE: Final = (_AT, _STALE, _MIN)
_LINES: Final = (accept.LINES,)

_SKIP: Final = Param("skip", whole(), "Pass so many entries by: `place` and `total` say where this page is.")
_BEGIN: Final = Param(
    "begin", TEXT, "Begin with the first entry that does not come before this name; `place`, `total`."
)

READING: Final = (
    Route(
        "GET", "/v1/tree/{path}", reading.tree, "List a directory.",
        (*_STATE, _VALUES, _SKIP, _BEGIN, *_ROWS), forms=_LINES, group="tree",
    ),
    Route(
        "GET", "/v1/scan", reading.scan, "Read the files that match, in path order.",
        (_GLOB, *_STATE, _VALUES, _REVERSE, Param("count", FLAG, "Only how many there are.", False), *_ROWS),
        forms=_LINES, group="scan",
    ),
    Route("GET", "/v1/stat/{path}", reading.stat, "Say what a path is.", _STATE, group="stat"),
    Route(
        "GET", "/v1/moment", at_once.moment,
        "Show rows of a tree in which some directories are open, what is at a path, and who made the rev: all at once.",
        (
            _AT, Param("path", TEXT, "What is selected."),
            Param("open", several(at_once.MOST_OPEN), "A directory that is open; the root is, without being named."),
            Param("first", whole(), "The first row that is seen [0].", 0),
            Param("rows", whole(0, at_once.MOST_ROWS), "How many; none of the tree without it.", 0),
            Param("place", FLAG, "Say in which `row` the `path` lies, also where that is not seen.", False),
        ),
        group="moment",
    ),
)  # fmt: skip

_PAGED_PAST: Final = (
    _FROM,
    _TO,
    _REVERSE,
    _VALUES,
    _PREVIOUS,
    *_ROWS,
    Param("at", AT, "Nothing after this."),
)

PAST: Final = (
    Route(
        "GET", "/v1/commits", past.commits, "List the commits that changed what matches, with who, when and why.",
        (_GLOB, *_PAGED_PAST), forms=_LINES, group="past",
    ),
    Route(
        "GET", "/v1/history/{path}", past.history, "List the commits that changed a file, or anything in a directory.",
        _PAGED_PAST, forms=_LINES, group="past",
    ),
    Route(
        "GET", "/v1/blame/{path}", past.blame, "Say who changed each file at or below a path last.",
        (_AT, _limit(200, 100), _CURSOR), forms=_LINES, group="past",
    ),
    Route(
        "GET", "/v1/diff", past.diff, "Compare two revs.",
        (
            Param("a", AT, "The rev before, or its time.", required=True),
            Param("b", AT, "The rev after, or its time; the latest without it."), _GLOB, *_ROWS, _AT,
        ),
        forms=_LINES, group="past",
    ),
    Route(
        "GET", "/v1/density", past.density, "Count commits by time, and say at which rev each bucket begins.",
        (_GLOB, _FROM, _TO, Param("buckets", whole(1, 1000), "How many [100].", 100)), group="past",
    ),
)  # fmt: skip

_DRY: Final = Param("dry_run", FLAG, "Only say what would change.", False)
_OBJECT: Final[dict[str, Any]] = {"type": "object"}
_TXN: Final[dict[str, Any]] = {
    "type": "object",
    "properties": {
        "if": {"type": "array", "items": _OBJECT},
        "then": {"type": "array", "items": _OBJECT},
        "else": {"type": "array", "items": _OBJECT},
        "note": {"type": "string"},
    },
}
_REVERT: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["path", "to"],
    "properties": {
        "path": {"type": "string"},
        "to": {"type": "integer"},
        "since": {"type": "integer"},
        "note": {"type": "string"},
    },
}

WRITING: Final = (
    Route(
        "POST", "/v1/txn", writing.txn, "Change several paths at one rev, under guards.",
        (_DRY,), (_NOTE,), _TXN, once=True, group="txn",
    ),
    Route(
        "POST", "/v1/revert", writing.revert, "Bring a file or a subtree back to its state at a rev, in one commit.",
        (_DRY,), (_NOTE,), _REVERT, once=True, group="txn",
    ),
)  # fmt: skip

_EVENTS: Final = (accept.EVENTS, accept.LINES)
_LAST: Final = Param(
    "Last-Event-ID", TEXT, "The id of the last event that came: the stream goes on behind it."
)
_STREAM: Final = (
    Param("from", AT, "The first rev, or after this time; from now on without it."),
    Param("state", FLAG, "The files that match come first, at the rev before.", False),
    Param("values", FLAG, "With the values.", True), _PREVIOUS,
)  # fmt: skip

_NAMED: Final[dict[str, Any]] = {
    "type": "object",
    "additionalProperties": {"type": "string"},
    "minProperties": 1,
    "maxProperties": watching.NAMED,
}

WATCHING: Final = (
    Route(
        "GET", "/v1/watch", watching.watch, "Follow what matches: whole commits, and marks, in order.",
        (
            _GLOB, *_STREAM, Param("granted", FLAG, "Only what you may read of it, instead of a refusal.", False),
            Param("after", REV, "Answer the first commit after this rev, once."),
            Param("wait", duration(watching.MOST_WAIT), "How long to wait for it [30s].", 30.0),
        ),
        (_LAST,), forms=_EVENTS, group="watch",
    ),
    Route(
        "POST", "/v1/watch", watching.watch_named, "Follow several globs by name on one stream.",
        _STREAM, (_LAST,), _NAMED, forms=_EVENTS, streams=True, group="watch",
    ),
)  # fmt: skip

LEASES: Final = (
    Route(
        "POST", "/v1/leases", leases.grant, "Grant a lease: what is attached to it goes when nobody keeps it.",
        (), (), {"type": "object", "required": ["ttl"], "properties": {"ttl": {}, "id": {"type": "integer"}}},
        once=True, group="leases",
    ),
    Route("GET", "/v1/leases", leases.ls, "List all leases.", (*_ROWS, _AT), forms=_LINES, group="leases"),
    Route("GET", "/v1/leases/{lease}", leases.show, "Show a lease: its time, and what is attached.", group="leases"),
    Route("POST", "/v1/leases/{lease}/keepalive", leases.keep, "Give a lease its full time again.", group="leases"),
    Route("DELETE", "/v1/leases/{lease}", leases.revoke, "End a lease.", (), (_NOTE,), once=True, group="leases"),
)  # fmt: skip

_LOCKED: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["lease"],
    "properties": {
        "lease": {"type": "integer"},
        "shared": {"type": "boolean"},
        "wait": {},
        "value": {"type": "string"},
    },
}

LOCKS: Final = (
    Route("GET", "/v1/locks/{path}", locks.show, "Say who holds a lock, and who waits.", group="locks"),
    Route(
        "POST", "/v1/locks/{path}", locks.acquire, "Enter the queue of a lock, and wait for it up to a minute.",
        (), (), _LOCKED, group="locks",
    ),
    Route(
        "DELETE", "/v1/locks/{path}", locks.release, "Release a lock, or leave its queue.",
        (
            Param("lease", REV, "Whose it is.", required=True),
            Param("fence", REV, "Only if this is its fencing number."),
            Param("shared", FLAG, "A shared one.", False),
        ),
        (_NOTE,), group="locks",
    ),
)  # fmt: skip

_EXPECT: Final = Param("expect", whole(1, 99), "It is a problem when fewer members vote.")

_LARGEST: Final = Param(
    "largest", whole(0, 50), "Rows of connections, watches, sessions and leases of each.", 0
)

CLUSTER: Final = (
    Route("GET", "/v1/cluster", cluster.members, "List the members of the cluster.", (_STALE,), group="cluster"),
    Route("GET", "/v1/cluster/health", cluster.health, "Ask every member how it is.", (_EXPECT,), group="cluster"),
    Route(
        "GET", "/v1/cluster/live", cluster_live.live,
        "Say how each member is right now, what is wrong and what to do, who uses it.", (_LARGEST,), group="cluster",
    ),
    Route(
        "GET", "/v1/watchers/{path}", watchers.watchers,
        "Say who watches a file, or something in a directory, and how many revs behind each is.", group="cluster",
    ),
    Route("GET", "/v1/status", cluster.status, "Show what a node tells of itself.", group="cluster"),
    Route("GET", "/v1/rev", cluster.rev, "Say the latest rev, and where history begins.", (_STALE,), group="cluster"),
    Route("GET", "/v1/whoami", cluster.whoami, "Say who you are to the registry.", group="cluster"),
    Route(
        "GET", "/v1/can", cluster.can, "Say whether you have a right, or which ones, on all these files.",
        (
            Param("right", choice("read", "write", "history", "admin"), "Which right."),
            Param("glob", TEXT, "Which files: a path, a tree (`/apps/**`) or a glob.", required=True),
        ),
        group="cluster",
    ),
)  # fmt: skip

SESSION: Final = (
    Route(
        "POST", "/v1/session", signing_in.sign_in, "Sign in: a token becomes a cookie and its `key`.",
        (), (), {"type": "object", "required": ["token"], "properties": {"token": {"type": "string"}}},
        group="session", signs=IN,
    ),
    Route("GET", "/v1/session", signing_in.show, "Say who you are, and by what.", group="session"),
    Route(
        "DELETE", "/v1/session", signing_in.out, "Sign out: the cookie goes.", group="session", signs=OUT,
    ),
)  # fmt: skip

_WORDS: Final[dict[str, Any]] = {"type": "string"}
_COUNT: Final[dict[str, Any]] = {"type": "integer", "minimum": 0}


def _body(*required: str, **properties: dict[str, Any]) -> dict[str, Any]:
    """Return a body that has nothing besides these."""
    return {
        "type": "object",
        "required": list(required),
        "properties": properties,
        "additionalProperties": False,
    }


_APP: Final = _body(
    repo_url=_WORDS, stack=_WORDS, deploy_type=_WORDS, env={"type": "object", "additionalProperties": _WORDS}
)
_REVISION: Final = _body(archive_url=_WORDS)
_PROC: Final = _body(command=_WORDS)
_SCALE: Final = {
    **_body(
        "revision",
        "proc",
        revision=_WORDS,
        proc=_WORDS,
        env={"type": ["string", "null"]},
        count=_COUNT,
        by={"type": "integer", "minimum": -domain.MOST, "maximum": domain.MOST},
        expect=_COUNT,
    ),
    "oneOf": [{"required": ["count"]}, {"required": ["by"]}],
}
_HOST: Final = Param("host", TEXT, "Of this host.")
_OF_APP: Final = Param("app", TEXT, "Of this app.")

DOMAIN: Final = (
    Route("GET", "/v1/apps", domain.apps, "List the apps.", (_AT,), group="domain"),
    Route("GET", "/v1/apps/{app}", domain.app, "Show an app with all that belongs to it.", (_AT,), group="domain"),
    Route("PUT", "/v1/apps/{app}", domain.register_app, "Register an app.", (), (), _APP, group="domain"),
    Route(
        "DELETE", "/v1/apps/{app}", domain.unregister_app, "Take an app out.",
        (Param("cascade", FLAG, "Its running instances, too.", False),), group="domain",
    ),
    Route(
        "PUT", "/v1/apps/{app}/revisions/{revision}", domain.register_revision, "Register a revision.",
        (), (), _REVISION, group="domain",
    ),
    Route(
        "PUT", "/v1/apps/{app}/procs/{proc}", domain.register_proc, "Register a process type.",
        (), (), _PROC, group="domain",
    ),
    Route(
        "GET", "/v1/apps/{app}/scale", domain.get_scale, "Count the instances of a group.",
        (
            Param("revision", TEXT, "Of this revision.", required=True),
            Param("proc", TEXT, "Of this process type.", required=True),
            Param("env", TEXT, "In this environment."), _AT,
        ),
        group="domain",
    ),
    Route(
        "POST", "/v1/apps/{app}/scale", domain.scale, "Have so many instances, or so many more or fewer.",
        (_DRY,), (), _SCALE, group="domain",
    ),
    Route("GET", "/v1/instances", domain.instances, "List instances.", (_OF_APP, _HOST, _AT), group="domain"),
    Route("GET", "/v1/instances/{instance}", domain.instance, "Show an instance.", (_AT,), group="domain"),
    Route("GET", "/v1/tickets", domain.tickets, "List what is to be done.", (_HOST, _AT), group="domain"),
    Route("GET", "/v1/services", domain.services, "List the services.", (_AT,), group="domain"),
    Route("GET", "/v1/services/{service}", domain.service, "Show a service and its endpoints.", (_AT,), group="domain"),
    Route("GET", "/v1/runners", domain.runners, "List the runners.", (_HOST, _AT), group="domain"),
    Route(
        "GET", "/v1/events", domain.events, "Follow what happens in the domain.",
        (
            Param("from", AT, "The first rev, or after this time; from now on without it."), _OF_APP,
            Param("type", TEXTS, "Only these types of events."),
        ),
        (_LAST,), forms=_EVENTS, streams=True, group="domain",
    ),
    Route(
        "GET", "/v1/fleet", fleet.fleet, "Show the whole domain at one rev: what runs, what is to do, who is reached.",
        (_AT,), group="domain",
    ),
    Route(
        "GET", "/v1/happenings", fleet.happenings, "List what happened in the domain, the newest first.",
        (
            Param("from", AT, "The first rev, or after this time; the oldest known without it."), _AT, _OF_APP,
            Param("type", TEXTS, "Only these types of events."), _limit(1000, 100),
        ),
        group="domain",
    ),
)  # fmt: skip

_OF_PROC: Final = Param("proc", TEXT, "Of this process type.")

DISCOVERY: Final = (
    Route(
        "GET", "/v1/sd/instances", discovery.instances, "List instances as targets of Prometheus (http_sd).",
        (
            _OF_APP, Param("revision", TEXT, "Of this revision."), _OF_PROC, Param("env", TEXT, "In this environment."),
            _HOST, Param("port", choice(*discovery.PORTS), "Which port is the target's [main].", "main"),
            Param("healthy", FLAG, "Only those that run; without it also those that stop, or are lost.", False),
        ),
        group="discovery",
    ),
    Route(
        "GET", "/v1/sd/services", discovery.services, "List endpoints of services as targets of Prometheus (http_sd).",
        (Param("service", TEXT, "Of this service; of all without it."),), group="discovery",
    ),
)  # fmt: skip

ROUTES: Final = (
    *FILES,
    *READING,
    *PAST,
    *WRITING,
    *WATCHING,
    *LEASES,
    *LOCKS,
    *CLUSTER,
    *SESSION,
    *DOMAIN,
    *DISCOVERY,
)
