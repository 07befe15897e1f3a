"""A registry that is too simple to be wrong: a full copy of the tree at every rev, nothing ever forgotten.

It knows paths, dicts and lists, and shares no code with the store but the numbers of the wire. Refusals are
tuples `(code, details)`.
"""

from __future__ import annotations

import copy
import re

CHANGES = {"create": 1, "update": 2, "remove": 3}


def ancestors(path):
    parts = path.split("/")[1:-1]
    return ["/" + "/".join(parts[: i + 1]) for i in range(len(parts))]


def below(path, top):
    return top == "/" or path == top or path.startswith(top + "/")


def order(path):
    return path.split("/")[1:]


def is_dir(tree, path):
    return path == "/" or any(other.startswith(path + "/") for other in tree)


def glob_matches(pattern, path):
    """Match by trying everything: exponential, and obviously right."""
    if pattern.startswith("**"):
        rest = pattern.lstrip("*")
        return any(glob_matches(rest, path[i:]) for i in range(len(path) + 1))
    if pattern.startswith("*"):
        for i in range(len(path) + 1):
            if "/" in path[:i]:
                break
            if glob_matches(pattern[1:], path[i:]):
                return True
        return False
    if not pattern or not path:
        return pattern == path
    if pattern[0] == "?" and path[0] == "/":
        return False
    return pattern[0] in ("?", path[0]) and glob_matches(pattern[1:], path[1:])


def selects(selector, path):
    kind, text = selector[0], selector[1]
    if kind == 5:
        return any(selects(part, path) for part in text)
    if kind == 0:
        return path == text
    if kind == 1:
        return below(path, text)
    if kind == 2:
        return below(path, text) and path != text and "/" not in path[len(text.rstrip("/")) + 1 :]
    if kind == 3:
        return glob_matches(re.sub(r"\*{2,}", "**", text), path)
    start, end = ("" if p == "/" else p for p in (text, selector[2] or "/"))
    return order(start) <= order(path) and (selector[2] is None or order(path) < order(end))


class Refused(Exception):  # noqa: N818
    def __init__(self, code, **details):
        super().__init__(code)
        self.outcome = (code, details)


def abridged(outcome, frame):
    """What a retry is told of a refusal: the numbers, and the path that it says itself."""
    if isinstance(outcome, tuple) and isinstance(outcome[0], str):
        path = (
            {"path": frame[3]}
            if frame[0] in (30, 31, 33) and type(frame[3]) is str and len(frame[3]) <= 1024
            else {}
        )
        return (
            outcome[0],
            {**path, **{key: value for key, value in outcome[1].items() if type(value) is int}},
        )
    return outcome


class Naive:
    def __init__(self):
        self.trees = [{}]
        self.commits = [None]
        self.floor = 0
        self.time = 0
        self.keep_revs = self.keep_ms = 0
        self.sessions = {}

    @property
    def rev(self):
        return len(self.trees) - 1

    # -- writes ---------------------------------------------------------------------------------------

    def command(self, time, groups):
        self.time = max(self.time, time)
        outcomes = [
            [self.once(session, actor, frame) for frame in frames] for session, actor, frames, _ in groups
        ]
        self.retain()
        return outcomes

    def once(self, session, actor, frame):
        retry = frame[0] == 39
        if retry:
            frame = frame[2]
        if session is None:
            return ("session_lost", {}) if retry else self.write(actor, frame)
        if session not in self.sessions:
            if retry:
                return ("session_lost", {})
            self.sessions[session] = {"acked": 0, "start": frame[1], "outcomes": {}}
        known = self.sessions[session]
        if frame[1] < known["acked"]:
            return ("session_lost", {}) if retry else ("bad_request", {"field": "id"})
        if frame[1] in known["outcomes"]:
            return abridged(known["outcomes"][frame[1]], frame)
        if retry and frame[1] < known["start"]:
            return ("session_lost", {})
        known["start"] = min(known["start"], frame[1])
        known["acked"] = max(known["acked"], frame[2])
        outcome = known["outcomes"][frame[1]] = self.write(actor, frame)
        return outcome

    def write(self, actor, frame):
        verb = {30: self.set, 31: self.delete, 32: self.txn, 33: self.revert, 34: self.nop, 35: self.settings}
        try:
            return verb[frame[0]](actor, *frame[3:])
        except Refused as refused:
            return refused.outcome

    def nop(self, actor):
        return self.rev

    def set(self, actor, path, value, guard=0, arg=0, lease=0, note=None):
        tree = dict(self.trees[-1])
        self.can_set(tree, path)
        self.guard(guard, path, arg)
        self.stage_set(tree, path, value)
        return self.commit(actor, note, tree, {path})

    def delete(self, actor, path, recursive=False, guard=0, arg=0, note=None):
        tree = dict(self.trees[-1])
        self.can_delete(tree, path, recursive)
        self.guard(guard, path, arg)
        doomed = self.stage_delete(tree, path)
        return self.commit(actor, note, tree, doomed)

    def txn(self, actor, guards, then, otherwise=(), note=None):
        succeeded = True
        for position, (kind, path, arg) in enumerate(guards):
            try:
                self.guard(kind, path, arg)
            except Refused as refused:
                code, details = refused.outcome
                if code == "compacted":
                    raise Refused(code, **details, guard=position) from None
                succeeded = False
                break
        tree, touched, results = dict(self.trees[-1]), set(), []
        for position, operation in enumerate(then if succeeded else otherwise):
            try:
                results.append(self.operation(tree, touched, *operation))
            except Refused as refused:
                code, details = refused.outcome
                raise Refused(code, **details, operation=position) from None
        return [self.commit(actor, note, tree, touched), succeeded, results]

    def operation(self, tree, touched, kind, path, *rest):
        if kind == 0:
            self.can_set(tree, path)
            self.stage_set(tree, path, rest[0])
            touched.add(path)
        elif kind == 1:
            self.can_delete(tree, path, bool(rest and rest[0]))
            touched |= self.stage_delete(tree, path)
        elif kind == 2:
            if path in tree:
                return tree[path]
            if is_dir(tree, path):
                raise Refused("is_directory", path=path)
        else:
            if path in tree:
                raise Refused("not_directory", path=path)
            names = sorted(
                {
                    other[len(path.rstrip("/")) + 1 :].split("/")[0]
                    for other in tree
                    if below(other, path) and other != path
                }
            )
            return [[name, 1 if path.rstrip("/") + "/" + name in tree else 2] for name in names]
        return None

    def revert(self, actor, path, to_rev, since=None, note=None):
        self.readable(to_rev)
        if since is not None:
            self.guard(3, path, since)
        then, tree, touched = self.trees[to_rev], dict(self.trees[-1]), set()
        for other in list(tree):
            if below(other, path) and other not in then:
                del tree[other]
                touched.add(other)
        for other, version in then.items():
            if below(other, path) and (other not in tree or tree[other][1] != version[1]):
                for above in ancestors(other):
                    if above in tree:
                        raise Refused("not_directory", path=above)
                self.stage_set(tree, other, version[1])
                touched.add(other)
        return self.commit(actor, note, tree, touched)

    def settings(self, actor, keep_revs=None, keep_ms=None, compact_to=None):
        if compact_to is not None and compact_to > self.rev:
            raise Refused("future_rev", rev=self.rev, asked=compact_to)
        self.keep_revs = self.keep_revs if keep_revs is None else keep_revs
        self.keep_ms = self.keep_ms if keep_ms is None else keep_ms
        self.floor = max(self.floor, compact_to or 0)
        self.retain()
        return self.floor

    def retain(self):
        if self.keep_revs:
            self.floor = max(self.floor, self.rev - self.keep_revs)
        if self.keep_ms:
            old = [c[0] for c in self.commits[1:] if c[1] <= self.time - self.keep_ms]
            self.floor = max([self.floor, *old])

    def can_set(self, tree, path):
        if is_dir(tree, path):
            raise Refused("is_directory", path=path)
        self.not_below_file(tree, path)

    def can_delete(self, tree, path, recursive):
        if is_dir(tree, path) and not recursive:
            raise Refused("is_directory", path=path)
        self.not_below_file(tree, path)

    def not_below_file(self, tree, path):
        for above in ancestors(path):
            if above in tree:
                raise Refused("not_directory", path=above)

    def stage_set(self, tree, path, value):
        # What was there before this rev decides, not what an earlier operation of it made of it.
        before = self.trees[-1].get(path)
        created, count = (before[2], before[3]) if before else (self.rev + 1, 0)
        tree[path] = (self.rev + 1, value, created, count + 1, 0)

    def stage_delete(self, tree, path):
        doomed = {other for other in tree if below(other, path)}
        if not doomed and path != "/":
            raise Refused("not_found", path=path)
        for other in doomed:
            del tree[other]
        return doomed

    def guard(self, kind, path, arg):
        version = self.trees[-1].get(path)
        actual = version[0] if version else 0
        if kind == 1 and actual != arg:
            raise Refused("rev_mismatch", path=path, expected=arg, actual=actual)
        if kind == 2 and version:
            raise Refused("exists", path=path, actual=actual)
        if kind == 3:
            self.unchanged(path, arg)
        if kind >= 4 and not version:
            raise Refused("not_found", path=path)
        if (
            (kind == 5 and version[1] != arg)
            or (kind == 6 and actual >= arg)
            or (kind == 7 and actual <= arg)
        ):
            raise Refused("guard_failed")

    def unchanged(self, path, arg):
        tree = self.trees[-1]
        if path in tree or is_dir(tree, path):
            actual = self.last_change(path, self.rev)
        else:
            actual = self.deleted_at(path, self.rev)
            if actual <= arg < self.floor:
                raise Refused("compacted", floor=self.floor, rev=arg)
        if actual > arg:
            raise Refused("rev_mismatch", path=path, expected=arg, actual=actual)

    def commit(self, actor, note, tree, touched):
        before, rev = self.trees[-1], self.rev + 1
        changes = []
        for path in sorted(touched, key=order):
            old, new = before.get(path), tree.get(path)
            if new is not None:
                changes.append((CHANGES["update" if old else "create"], path, new, old))
            elif old is not None:
                changes.append((CHANGES["remove"], path, (rev, None, 0, 0, 0), old))
        if not changes:
            return self.rev
        self.trees.append(tree)
        self.commits.append((rev, self.time, actor, note, changes))
        return rev

    # -- reads ----------------------------------------------------------------------------------------

    def readable(self, rev):
        if rev < self.floor:
            raise Refused("compacted", floor=self.floor, rev=rev)
        if rev > self.rev:
            raise Refused("future_rev", rev=self.rev, asked=rev)

    def last_change(self, path, rev):
        changed = [c[0] for c in self.commits[1 : rev + 1] if any(below(change[1], path) for change in c[4])]
        return changed[-1] if changed else 0

    def deleted_at(self, path, rev):
        last = self.last_change(path, rev) if path != "/" else 0
        return last if last > self.floor else 0

    def get(self, path, rev):
        if path in self.trees[rev]:
            return [rev, self.trees[rev][path]]
        return ("is_directory", {"path": path}) if is_dir(self.trees[rev], path) else [rev, None]

    def size(self, path, rev):
        depth = len([part for part in path.split("/") if part])
        return len({tuple(order(other)[: depth + 1]) for other in self.trees[rev] if below(other, path)})

    def stat(self, path, rev):
        tree = self.trees[rev]
        if path in tree:
            mod_rev, value, created, count, lease = tree[path]
            return [rev, 1, len(value), mod_rev, created, count, lease]
        if is_dir(tree, path):
            return [rev, 2, self.size(path, rev), self.last_change(path, rev), 0, 0, 0]
        return [rev, 0, 0, self.deleted_at(path, rev), 0, 0, 0]

    def list(self, path, rev):
        tree = self.trees[rev]
        if path in tree:
            return ("not_directory", {"path": path})
        if not is_dir(tree, path):
            return ("not_found", {"path": path, "rev": rev})
        prefix, rows = path.rstrip("/") + "/", []
        for name in sorted(
            {other[len(prefix) :].split("/")[0] for other in tree if other.startswith(prefix)}
        ):
            _, kind, size, mod_rev, *_ = self.stat(prefix + name, rev)
            rows.append([name, kind, size, mod_rev, tree[prefix + name][1] if kind == 1 else None])
        return rows

    def scan(self, selector, rev):
        tree = self.trees[rev]
        return [[path, tree[path]] for path in sorted(tree, key=order) if selects(selector, path)]

    def log(self, selector, first, last):
        rows = []
        for rev, time, actor, note, changes in self.commits[max(first, 1) : last + 1]:
            meant = [list(change) for change in changes if selects(selector, change[1])]
            if meant:
                rows.append([rev, time, actor, note, meant])
        return rows

    def diff(self, selector, a, b):
        one, two = self.trees[a], self.trees[b]
        paths = sorted({*one, *two}, key=order)
        return [
            (path, one.get(path), two.get(path))
            for path in paths
            if selects(selector, path) and one.get(path) != two.get(path)
        ]

    def rev_at(self, time):
        found = max([c[0] for c in self.commits[1:] if c[1] <= time], default=0)
        return found if found >= self.floor else ("compacted", None)

    def copy(self):
        return copy.deepcopy(self)
