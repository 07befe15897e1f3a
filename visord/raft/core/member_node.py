"""A member, as pysyncobj's node: one object for each id.

pysyncobj compares nodes by their ids, in Python, whenever one is looked up: forty times for a write on three members.
Of each id there is one object here, for as long as anybody has it, so the interpreter compares them by themselves.
"""

from __future__ import annotations

from weakref import WeakValueDictionary

from pysyncobj.node import Node


class MemberNode(Node):  # type: ignore[misc]
    """Made by `node_of` alone."""

    __eq__ = object.__eq__
    __ne__ = object.__ne__
    __hash__ = object.__hash__

    id = ""
    """Of the member: here no property, as it is read everywhere."""

    def __init__(self, member: str) -> None:
        super().__init__(member)
        object.__setattr__(self, "id", member)


_nodes: WeakValueDictionary[str, MemberNode] = WeakValueDictionary()


def node_of(member: str) -> MemberNode:
    """Return the node of a member: the same object each time."""
    node = _nodes.get(member)
    if node is None:
        node = _nodes[member] = MemberNode(member)
    return node
