"""A machine that wants to become a member, at the door: it has a token to join instead of HELLO.

    [72, id, {"id": token's id, "secret": 32 bytes, "member": id, "name": "n2", "hosts": [...], "request": bytes}]
    ->  [100, id, {"certificate": PEM, "cluster": id, "name": "n2", "peers": ["10.0.0.1:8047", ...]}]

Nobody knows yet who that is: what it says is bounded like HELLO, one question a connection, a few at a time at this
node. What is wrong with a token is in the audit like a login that failed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from visor.protocol.frames import Message
from visord.authority.office import Answer, Asked, Made, Office
from visord.serving.reporting import Reporting
from visord.state import fields
from visord.state.refusal import Refusal, bad_request

SECRET: Final = 32
MAX_HOSTS: Final = 16
TEXT: Final = 253


class Enrolment:
    """See the module. `office()` is the part of the node that certificates are asked of."""

    def __init__(self, office: Callable[[], Office], reporting: Reporting) -> None:
        self._office = office
        self._reporting = reporting

    def ask(self, message: Message, address: str, reply: Answer) -> None:
        """Answer JOIN; `reply` is called once, possibly within this call."""
        asked = read_join(message)
        if isinstance(asked, Refusal):
            reply(asked)
            return

        def told(result: Made) -> None:
            if isinstance(result, Refusal) and result.code == "denied":
                self._reporting.turned_away(result, address)
            reply(result)

        self._office().join(asked, told)


def read_join(message: Message) -> Asked | Refusal:
    """Check JOIN field by field."""
    wrong = fields.length(message, 3, 3)
    if wrong is not None:
        return wrong
    told = message[2]
    if type(told) is not dict or told.keys() != set(_FIELDS):
        return bad_request("join", f"a map with {', '.join(_FIELDS)}", told)
    for name, (fits, expected) in _FIELDS.items():
        if not fits(told[name]):
            return bad_request(name, expected, "something else" if name == "secret" else told[name])
    return Asked(told["id"], told["secret"], told["member"], told["name"], told["hosts"], told["request"])


def _text(content: Any) -> bool:
    return type(content) is str and len(content) <= TEXT


_FIELDS: Final[dict[str, tuple[Callable[[Any], bool], str]]] = {
    "id": (_text, "the id of a token to join"),
    "secret": (lambda secret: type(secret) is bytes and len(secret) == SECRET, f"{SECRET} bytes"),
    "member": (_text, "the id of the new member"),
    "name": (_text, "its name, or an empty text"),
    "hosts": (
        lambda hosts: type(hosts) is list and len(hosts) <= MAX_HOSTS and all(map(_text, hosts)),
        f"at most {MAX_HOSTS} names of hosts or addresses",
    ),
    "request": (lambda request: type(request) is bytes, "a request for a certificate (DER)"),
}
"""Field -> what it may be, and how that is said."""
