"""The shapes of answers, for the description: what stands in them always. More may come (within v1 only additions)."""

from __future__ import annotations

from typing import Any, Final

Schema = dict[str, Any]

INTEGER: Final[Schema] = {"type": "integer", "minimum": 0}
TEXT: Final[Schema] = {"type": "string"}
BOOLEAN: Final[Schema] = {"type": "boolean"}
NUMBER: Final[Schema] = {"type": "number"}
TIME: Final[Schema] = {"type": "string", "format": "date-time"}
PATH: Final[Schema] = {"type": "string", "pattern": "^/"}
ANYTHING: Final[Schema] = {"type": "object"}


def known(name: str) -> Schema:
    """Return what refers to one of `SCHEMAS`."""
    return {"$ref": f"#/components/schemas/{name}"}


def array(of: Schema) -> Schema:
    """Return a list of these."""
    return {"type": "array", "items": of}


def or_null(kind: Schema) -> Schema:
    """Return the same, or null."""
    if "type" in kind:
        return {**kind, "type": [kind["type"], "null"]}
    return {"anyOf": [kind, {"type": "null"}]}


def thing(**properties: Schema) -> Schema:
    """Return an object that has all of these."""
    return {"type": "object", "required": list(properties), "properties": properties}


def sometimes(shape: Schema, **properties: Schema) -> Schema:
    """Return an object that may also have these."""
    return {**shape, "properties": {**shape["properties"], **properties}}


def with_value(shape: Schema) -> Schema:
    """Return an object that may also have a value, as text or, where it is none, in base64."""
    return sometimes(shape, size=INTEGER, value=TEXT, value_base64={"type": "string", "format": "byte"})


def page(of: str, **more: Schema) -> Schema:
    """Return a page of these, with what stands before them."""
    return thing(**more, rev=INTEGER, items=array(known(of)), next=or_null(TEXT))


def either(*shapes: Schema) -> Schema:
    """Return what is one of these."""
    return {"anyOf": list(shapes)}


_FILE: Final = {"path": PATH, "mod_rev": INTEGER, "created": INTEGER, "count": INTEGER, "lease": INTEGER}
_WRITTEN: Final = {"time": or_null(TIME), "actor": or_null(TEXT), "note": or_null(TEXT)}
_CHANGE: Final = with_value(
    thing(kind={"enum": ["create", "update", "delete", "expire"]}, path=PATH, created=INTEGER, count=INTEGER)
)
_ENTRY: Final = {
    "name": TEXT,
    "path": PATH,
    "kind": {"enum": ["file", "directory"]},
    "size": INTEGER,
    "mod_rev": INTEGER,
}
_CLUSTER: Final = {"cluster": TEXT, "rev": INTEGER, "voters": INTEGER, "members": array(ANYTHING)}
_CONTENDER: Final = with_value(thing(name=TEXT, file=PATH, fence=INTEGER, lease=INTEGER, shared=BOOLEAN))

SCHEMAS: Final[dict[str, Schema]] = {
    "File": with_value(thing(**_FILE)),
    "FileAt": with_value(thing(**_FILE, rev=INTEGER, **_WRITTEN)),
    "Blamed": with_value(thing(**_FILE, **_WRITTEN)),
    "Entry": with_value(thing(**_ENTRY)),
    "Stat": thing(**_FILE, rev=INTEGER, kind={"enum": ["file", "directory"]}, size=INTEGER),
    "Commit": thing(
        rev=INTEGER,
        time=TIME,
        actor=TEXT,
        note=or_null(TEXT),
        changes=array(
            sometimes(_CHANGE, previous=or_null(with_value(thing(mod_rev=INTEGER))), **{"for": array(TEXT)})
        ),
    ),
    "Look": sometimes(
        thing(path=PATH, kind={"enum": ["file", "directory", "missing", "refused"]}),
        told=either(known("FileAt"), known("Stat")),
        problem=known("Problem"),
    ),
    "Made": thing(rev=INTEGER, time=TIME, actor=TEXT, note=or_null(TEXT), changes=INTEGER),
    "Row": thing(row=INTEGER, level=INTEGER, place=INTEGER, of=INTEGER, **_ENTRY),
    "Difference": thing(
        path=PATH,
        kind={"enum": ["create", "update", "delete", "expire"]},
        rev=INTEGER,
        before=or_null(with_value(thing(size=INTEGER))),
        after=or_null(with_value(thing(size=INTEGER))),
    ),
    "Lease": thing(lease=INTEGER, ttl=NUMBER, files=INTEGER),
    "Contender": _CONTENDER,
    "Target": thing(targets=array(TEXT), labels={"type": "object", "additionalProperties": TEXT}),
}
"""What has a name of its own in the description."""


def listed(of: str, **more: Schema) -> Schema:
    """Return a list of the domain: its objects, and what could not be read."""
    return thing(rev=INTEGER, **{of: array(ANYTHING)}, damaged=array(thing(path=TEXT, why=TEXT)), **more)


WRITTEN: Final = thing(path=PATH, rev=INTEGER)
GRANTED: Final = thing(lease=INTEGER, ttl=NUMBER)
TARGETS: Final = array(known("Target"))
_DRY: Final = {
    "dry_run": {"const": True},
    "rev": INTEGER,
    "changes": array(known("Difference")),
    "left_out": INTEGER,
}
_IDENTITY: Final = {"user": TEXT, "expires": or_null(TIME), "roles": array(TEXT), "grants": array(TEXT)}
_QUEUE: Final = array(known("Contender"))

ANSWERS: Final[dict[str, Schema]] = {
    "files_read": known("FileAt"),
    "files_write": WRITTEN,
    "files_delete": WRITTEN,
    "reading_tree": page("Entry", path=PATH),
    "reading_scan": either(page("File"), thing(rev=INTEGER, count=INTEGER)),
    "reading_stat": known("Stat"),
    "at_once_moment": thing(
        rev=INTEGER,
        commit=or_null(known("Made")),
        selected=or_null(known("Look")),
        size=INTEGER,
        rows=array(known("Row")),
        row=or_null(INTEGER),
        directories=array(sometimes(thing(path=PATH, total=INTEGER), problem=known("Problem"))),
    ),
    "past_commits": page("Commit"),
    "past_history": page("Commit", path=PATH),
    "past_blame": page("Blamed", path=PATH),
    "past_diff": page("Difference", a=INTEGER),
    "past_density": thing(
        rev=INTEGER,
        to=TIME,
        revs=array(INTEGER),
        counts=array(INTEGER),
        complete=BOOLEAN,
        counted_from=INTEGER,
        **{"from": TIME},
    ),
    "writing_txn": either(
        thing(rev=INTEGER, succeeded=BOOLEAN, results={"type": "array"}), thing(**_DRY, succeeded=BOOLEAN)
    ),
    "writing_revert": either(thing(path=PATH, to=INTEGER, rev=INTEGER), thing(**_DRY, path=PATH, to=INTEGER)),
    "watching_watch": thing(rev=INTEGER, commits=array(known("Commit"))),
    "leases_grant": GRANTED,
    "leases_ls": page("Lease"),
    "leases_show": thing(
        lease=INTEGER, ttl=NUMBER, left=or_null(NUMBER), files=INTEGER, rev=INTEGER, paths=array(PATH)
    ),
    "leases_keep": GRANTED,
    "leases_revoke": thing(lease=INTEGER, rev=INTEGER),
    "locks_show": thing(path=PATH, rev=INTEGER, holders=_QUEUE, waiting=_QUEUE, contenders=INTEGER),
    "locks_acquire": thing(path=PATH, held=BOOLEAN, fence=INTEGER, file=PATH, lease=INTEGER, ahead=_QUEUE),
    "locks_release": WRITTEN,
    "cluster_members": thing(**_CLUSTER),
    "cluster_health": thing(**_CLUSTER, healthy=BOOLEAN, problems=array(TEXT)),
    "cluster_rev": thing(rev=INTEGER, floor=INTEGER, time=TIME),
    "cluster_whoami": thing(**_IDENTITY),
    "cluster_can": either(
        thing(allowed=BOOLEAN, roles=array(TEXT), missing=or_null(TEXT)),
        thing(may=ANYTHING, missing=ANYTHING),
    ),
    "watchers_watchers": thing(path=PATH, watchers=array(ANYTHING), more=BOOLEAN, problems=array(TEXT)),
    "cluster_live_live": thing(time=TIME, problems=array(ANYTHING), members=array(ANYTHING)),
    "signing_in_sign_in": thing(**_IDENTITY, by=TEXT, key=TEXT, seconds=INTEGER),
    "signing_in_show": thing(**_IDENTITY, by=TEXT),
    "fleet_fleet": thing(
        rev=INTEGER,
        time=or_null(TIME),
        apps=array(ANYTHING),
        instances=array(ANYTHING),
        denied=array(TEXT),
        left_out=ANYTHING,
    ),
    "fleet_happenings": thing(rev=INTEGER, events=array(ANYTHING), next=or_null(INTEGER)),
    "domain_apps": listed("apps"),
    "domain_instances": listed("instances"),
    "domain_tickets": listed("tickets"),
    "domain_services": listed("services"),
    "domain_service": listed("endpoints", name=TEXT),
    "domain_runners": listed("runners"),
    "discovery_instances": TARGETS,
    "discovery_services": TARGETS,
}
"""The document of an operation, by its name; of any other it is an object, of which nothing is promised."""
