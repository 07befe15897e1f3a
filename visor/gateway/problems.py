"""What goes wrong, as RFC 9457 has it: a status, a `type` that is the page of that error, the family, and the details.

The family says what a caller may believe, as in `visor.errors`: `rejected`, it did not happen; `unavailable`, it was
not accepted, and sending it again is safe; `unknown`, it may have happened (504): send it again only under the same key
(Idempotency-Key).
"""

# ruff: noqa: N818  # the name says what became of the request
from __future__ import annotations

import base64
from typing import Any, Final

from visor import errors
from visor.errors import Conflict, OutcomeUnknown, Rejected, Unavailable, VisorError

MEDIA_TYPE: Final = "application/problem+json"
PAGES: Final = "/docs/problems/"
RETRY_SECONDS: Final = 1
MOST_WORDS: Final = 1200
"""Characters of a text: what was asked for may stand in it, however long that was. A path has 1024 bytes."""
ANOTHER: Final = "another token"
"""How what is missing begins where a token that was good is so no more."""

STATUS: Final[dict[str, int]] = {
    "rev_mismatch": 409,
    "exists": 409,
    "guard_failed": 409,
    "lease_exists": 409,
    "is_directory": 409,
    "not_directory": 409,
    "wrong_queue": 409,
    "wrong_cluster": 409,
    "lock_lost": 409,
    "lease_lost": 409,
    "not_found": 404,
    "lease_not_found": 404,
    "no_member": 404,
    "bad_path": 422,
    "bad_glob": 422,
    "compacted": 410,
    "future_rev": 409,
    "too_large": 413,
    "bad_request": 400,
    "unsendable": 400,
    "decode": 409,
    "denied": 403,
    "unsupported": 501,
    "unsafe": 409,
    "no_space": 507,
}
"""Of what the registry refuses. All else that is unavailable is 503, all that is unknown 504."""

OWN: Final[dict[str, tuple[int, str]]] = {
    "not_signed_in": (401, "This needs somebody who is known: send `Authorization: Bearer vis_...`."),
    "bad_token": (401, "The token proves nothing: it is unknown, has expired, or was taken back."),
    "guard_failed_here": (412, "What `If-Match` or `If-None-Match` asks for does not hold: read again, decide again."),
    "usage": (400, "A parameter, a header or the body is not what is expected; the text says which, and what is."),
    "ambiguous": (400, "Two readers could take the request for different ones, so it is none: the text says why."),
    "upgrade": (400, "There is no other protocol behind this one: `/v1/watch` streams events over plain HTTP."),
    "pipelined": (429, "At most 64 requests are sent ahead on one connection."),
    "no_route": (404, "There is nothing at this URL: see /docs."),
    "method": (405, "The URL does not take this method; `Allow` says which it does."),
    "not_acceptable": (406, "The answer cannot take any of the forms that `Accept` names."),
    "too_slow": (408, "The request did not arrive within ten seconds."),
    "body_too_large": (413, "A body has at most 4 MiB."),
    "media_type": (415, "The body has another type than is expected."),
    "wrong_host": (421, "The request is for a host that this gateway does not answer for."),
    "head_too_large": (431, "The head of a request has at most 16 KiB."),
    "cross_origin": (403, "Pages of other sites are not served."),
    "in_clear": (403, "The token would go on in the clear: the gateway reaches the registry without TLS."),
    "key_reused": (422, "The Idempotency-Key was used for another request."),
    "too_many": (429, "So many at once are not served for one caller: wait, then try again."),
    "crowded": (503, "The gateway has no place left: try again, or another gateway."),
    "closing": (503, "The gateway is about to stop: try again, or another gateway."),
    "slow_reader": (408, "The reader took nothing for a minute."),
    "slow_handshake": (408, "TLS was not there within ten seconds; nothing can be answered in the clear."),
    "no_tls": (400, "What came was no TLS, or the client broke it off: it trusts another certificate, or wants https://."),
    "defect": (500, "The gateway itself failed: what became of the request is not known."),
}  # fmt: skip
"""What the gateway itself refuses: status, and what its page says."""

UNKNOWN: Final = frozenset(("defect",))
WAITING: Final = frozenset((429, 503, 507))
"""Statuses that say when to come again."""


class NotServed(Exception):
    """Something that the gateway itself refuses; `code` is one of `OWN`."""

    def __init__(self, code: str, text: str | None = None, **details: Any) -> None:
        self.code = code
        self.details = details
        super().__init__(text if text is not None else OWN[code][1])


def status_of(error: VisorError) -> int:
    """Return the status of an error of the client."""
    for kind in type(error).__mro__:  # what the domain refuses is a kind of what the registry does
        known = STATUS.get(getattr(kind, "code", ""))
        if known is not None:
            return known
    if isinstance(error, OutcomeUnknown):
        return 504
    return 409 if isinstance(error, Rejected) else 503


def family_of(error: VisorError) -> str:
    """Return what may be believed: rejected, unavailable or unknown."""
    if isinstance(error, OutcomeUnknown):
        return "unknown"
    return "rejected" if isinstance(error, Rejected) else "unavailable"


def of_error(error: VisorError, *, guarded: bool = False, known: bool = True) -> dict[str, Any]:
    """Return the problem that an error is.

    `guarded`: the request had a condition in its head, so a conflict is that the condition does not hold. `known`: it
    came with a credential; who came without is asked for one rather than refused.
    """
    status, code = status_of(error), error.code
    if isinstance(error, Conflict) and guarded:
        status = 412
    if proves_nothing(error) and known:
        status, code = 401, "bad_token"
    elif isinstance(error, errors.Denied) and not known:
        status, code = 401, "not_signed_in"
    return problem(status, code, str(error), family_of(error), error.details)


def proves_nothing(error: VisorError) -> bool:
    """Say whether it is the token that is wrong, and not what it may do."""
    return isinstance(error, errors.Denied) and (error.missing or ANOTHER).startswith(ANOTHER)


def of_refusal(refused: NotServed) -> dict[str, Any]:
    """Return the problem that a refusal of the gateway is."""
    status = OWN[refused.code][0]
    family = "unknown" if refused.code in UNKNOWN else "unavailable" if status in WAITING else "rejected"
    return problem(status, refused.code, str(refused), family, refused.details)


def problem(status: int, code: str, text: str, family: str, details: dict[str, Any]) -> dict[str, Any]:
    """Return the document; what of the details has one of its own names is left out."""
    own = {
        "type": PAGES + code,
        "title": code.replace("_", " "),
        "status": status,
        "detail": text if len(text) <= MOST_WORDS else f"{text[:MOST_WORDS]}...",
        "code": code,
        "family": family,
    }
    return {**{name: _plain(value) for name, value in details.items() if name not in own}, **own}


def _plain(value: Any) -> Any:
    """Return a detail as JSON has it: what a client or a node told may be bytes, or anything."""
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    if isinstance(value, list | tuple):
        return [_plain(each) for each in value]
    return value if value is None or isinstance(value, bool | int | float) else str(value)[:MOST_WORDS]


def pages() -> dict[str, tuple[int, str, str]]:
    """Return code -> (status, family, words) of all problems that there can be."""

    found: dict[str, tuple[int, str, str]] = {}
    todo: list[type[VisorError]] = [Rejected, Unavailable, OutcomeUnknown]
    while todo:
        kind = todo.pop()
        todo += kind.__subclasses__()
        sample = kind("")
        found[kind.code] = status_of(sample), family_of(sample), _first_words(kind)
    for code, (status, words) in OWN.items():
        found[code] = status, str(of_refusal(NotServed(code))["family"]), words
    return found


def _first_words(kind: type[VisorError]) -> str:
    return (kind.__doc__ or "").strip().partition("\n\n")[0].replace("\n    ", " ")
