"""What operators ask of a member: who belongs to the cluster (MEMBERS), and to change that (ADMIN).

The fields are checked here; `cluster` passes what is asked to the leader and brings the answer back.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from visor.protocol import verbs
from visord.audit import recorded
from visord.audit.applied import who
from visord.audit.auditor import Silent
from visord.members import actions
from visord.members.callers import Caller, of_client
from visord.members.membership import Membership
from visord.state.refusal import Refusal, bad_request

Reply: TypeAlias = Callable[["dict[str, Any] | Refusal"], None]


class Admin:
    """The operators' side of one node. `facts()` gives what every answer about the members tells besides them.

    Whoever asks for a change of the members stands in the audit, with what became of it.
    """

    def __init__(
        self, cluster: Membership, facts: Callable[[], dict[str, Any]], audit: Silent | None = None
    ) -> None:
        self._cluster = cluster
        self._facts = facts
        self._audit = audit or Silent()

    def request(self, verb: int, fields: list[Any], owner: str, reply: Reply) -> None:
        """Do MEMBERS or ADMIN for a connection's owner; `reply` is called once, possibly within this call."""
        if verb == verbs.MEMBERS:
            self._members(fields, of_client(owner), reply)
        else:
            self._act(fields, owner, reply)

    def _members(self, fields: list[Any], caller: Caller, reply: Reply) -> None:
        mode = fields[0] if fields else verbs.LINEARIZABLE
        if type(mode) is not int or mode not in (verbs.LINEARIZABLE, verbs.STALE) or len(fields) > 1:
            reply(bad_request("mode", "0 or 1, and nothing after it", mode))
        elif mode == verbs.STALE:
            reply(self._told(self._cluster.view()))
        else:
            self._ask("members", [], caller, reply)

    def _act(self, fields: list[Any], owner: str, reply: Reply) -> None:
        action = fields[0] if fields else None
        arguments = fields[1] if len(fields) > 1 else []
        if type(action) is not str or action not in actions.OPERATORS or len(fields) > 2:
            reply(bad_request("action", f"one of {', '.join(actions.OPERATORS)}", action))
            return
        expected = actions.ARGUMENTS[action]
        if type(arguments) is not list or len(arguments) > len(expected):
            reply(bad_request("arguments", f"a list of at most {len(expected)}", arguments))
            return
        arguments = [*arguments, *[None] * (len(expected) - len(arguments))]
        for argument, value in zip(expected, arguments, strict=True):
            if not argument.fits(value):
                reply(bad_request("arguments", f"{argument.expected} for {action}", value))
                return
        if action in actions.NAMING and arguments[0] is not None:
            # From now on by id: a repeated removal must find that the member is gone, not that nobody has that name.
            known = self._cluster.find(arguments[0])
            arguments[0] = arguments[0] if known is None else known.id
        if action in actions.CHANGES:
            self._ask(action, arguments, of_client(owner), self._recorded(owner, action, arguments, reply))
        else:
            self._ask(action, arguments, of_client(owner), reply)

    def _recorded(self, owner: str, action: str, arguments: list[Any], reply: Reply) -> Reply:
        """Return what records how an action ended, and then replies."""

        def told(result: dict[str, Any] | Refusal) -> None:
            ended = f"{result.code}: {result.text}" if isinstance(result, Refusal) else "done"
            reason = f"{' '.join(map(str, arguments))}: {ended}"
            self._audit.record(recorded.MEMBERS, **who(owner), verb=f"ADMIN {action}", reason=reason)
            reply(result)

        return told

    def _ask(self, action: str, arguments: list[Any], caller: Caller, reply: Reply) -> None:
        def answer(ok: bool, result: Any) -> None:
            reply(self._told(result) if ok else Refusal(*result))

        self._cluster.act(action, arguments, answer, caller)

    def _told(self, result: dict[str, Any]) -> dict[str, Any]:
        """Add what this node knows: the leader, which may have answered, cannot tell which one that is."""
        facts = self._facts()
        rows = result.get("members")
        if rows is None:
            return result
        mine = [{**row, "self": row["id"] == facts["node"]} for row in rows]
        return {**facts, **result, "members": mine}
