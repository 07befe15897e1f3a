"""Which of many ranges contain a point: a balanced tree of starts, each node with the largest end below it.

Ranges by start, with ends:      [b, d)  [b, z)  [f, g)  [m, n)

                [f, g) z            z: the largest end here and below
              /          \\
        [b, d) z        [m, n) n
              \\
             [b, z) z

To find what contains `c`: whatever starts behind it is not looked at, nor is a subtree whose largest end is not above
`c`. A question costs O(log n) and as much again for each answer, and so does every change: ranges that come and go
between questions make nobody wait. The tree is a treap: it has the shape that it would have if the ranges had come
in the order of their priorities. Those are hashes of text, which differ in every process, so that nobody can choose
ranges that make it deep.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Generic, TypeAlias, TypeVar

T = TypeVar("T")

Key: TypeAlias = tuple[Any, int]
"""`(start, number)`: what nodes are ordered by."""


class _Node(Generic[T]):
    __slots__ = ("end", "key", "left", "most", "priority", "right", "value")

    def __init__(self, key: Key, end: tuple[bool, Any], value: T) -> None:
        self.key = key
        self.end = end
        """`(is it open, the end)`: an open one is above all others."""
        self.most = end
        self.priority = hash(key)
        self.value = value
        self.left: _Node[T] | None = None
        self.right: _Node[T] | None = None


class RangeMap(Generic[T]):
    """Values by half-open ranges `[start, end)` of keys that compare with each other; end None is open."""

    __slots__ = ("_keys", "_number", "root")

    def __init__(self) -> None:
        self._keys: dict[T, tuple[Key, ...]] = {}
        self._number = 0
        self.root: _Node[T] | None = None
        """None: there are no ranges."""

    def __len__(self) -> int:
        return len(self._keys)

    def add(self, value: T, start: Any, end: Any) -> None:
        """Put `value` (hashable) at `[start, end)`, and leave it where it is already."""
        self._number += 1
        key = (start, self._number)
        self._keys[value] = (*self._keys.get(value, ()), key)
        self.root = _insert(self.root, _Node(key, (end is None, end), value))

    def remove(self, value: T) -> None:
        """Take `value` out, from all its ranges. Raises KeyError when it is not there."""
        for key in self._keys.pop(value):
            self.root = _remove(self.root, key)

    def at(self, point: Any) -> list[T]:
        """Return the values whose ranges contain `point`, in order of their starts: once for each of these."""
        return [node.value for node in self._containing(point, None)]

    def some(self, point: Any, most: int, behind: Key | None) -> tuple[list[T], Key | None]:
        """Return `most` of them at most, behind a place, and the place to go on behind; None: that was all.

        The map may change in between.
        """
        found = []
        for node in self._containing(point, behind):
            found.append(node.value)
            if len(found) >= most:
                return found, node.key
        return found, None

    def _containing(self, point: Any, behind: Key | None) -> Iterator[_Node[T]]:
        beyond = (False, point)
        stack: list[_Node[T]] = []
        node = self.root
        while True:
            while node is not None and node.most > beyond:
                if behind is not None and node.key <= behind:
                    node = node.right
                    continue
                if node.key[0] <= point:
                    stack.append(node)
                node = node.left
            if not stack:
                return
            node = stack.pop()
            if node.end > beyond:
                yield node
            node = node.right


def _measure(node: _Node[T]) -> None:
    most = node.end
    if node.left is not None and node.left.most > most:
        most = node.left.most
    if node.right is not None and node.right.most > most:
        most = node.right.most
    node.most = most


def _insert(node: _Node[T] | None, new: _Node[T]) -> _Node[T]:
    if node is None:
        return new
    if new.priority > node.priority:
        new.left, new.right = _split(node, new.key)
        _measure(new)
        return new
    if new.key < node.key:
        node.left = _insert(node.left, new)
    else:
        node.right = _insert(node.right, new)
    if new.end > node.most:
        node.most = new.end
    return node


def _split(node: _Node[T] | None, key: Key) -> tuple[_Node[T] | None, _Node[T] | None]:
    """Return what lies before `key`, and what lies behind it."""
    if node is None:
        return None, None
    if node.key < key:
        node.right, behind = _split(node.right, key)
        _measure(node)
        return node, behind
    before, node.left = _split(node.left, key)
    _measure(node)
    return before, node


def _merge(before: _Node[T] | None, behind: _Node[T] | None) -> _Node[T] | None:
    if before is None or behind is None:
        return behind if before is None else before
    if before.priority > behind.priority:
        before.right = _merge(before.right, behind)
        _measure(before)
        return before
    behind.left = _merge(before, behind.left)
    _measure(behind)
    return behind


def _remove(node: _Node[T] | None, key: Key) -> _Node[T] | None:
    assert node is not None
    if node.key == key:
        return _merge(node.left, node.right)
    if key < node.key:
        node.left = _remove(node.left, key)
    else:
        node.right = _remove(node.right, key)
    _measure(node)
    return node
