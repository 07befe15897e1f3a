"""What is asked of a node by nodes that are no members (yet), and its answers. The other side is `joining`.

WHO   ->  IS, the cluster's id             which cluster is this?
JOIN  ->  JOINED, the members or why not   take me in
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from visor._core.hosts import counted_as
from visord.members.callers import CLIENT, Caller
from visord.members.membership import Membership
from visord.peers import messages as msg


class Strangers:
    """See the module. `cluster` and `member` are this node's own ids."""

    def __init__(self, cluster: str, member: str, membership: Membership) -> None:
        self._cluster = cluster
        self._member = member
        self._membership = membership

    def answer(self, message: list[Any], reply: Callable[[bytes], None], host: str) -> None:
        """Answer a question from `host`; `reply` is called once, possibly within this call, or never."""
        if not msg.well_formed(message):
            return
        if message[0] == msg.WHO:
            reply(msg.pack([msg.IS, self._cluster, self._member]))
        elif message[0] == msg.JOIN:
            caller = Caller(CLIENT, counted_as(host))
            self._membership.act(
                "add", message[1:], lambda ok, result: reply(msg.pack([msg.JOINED, ok, result])), caller
            )
