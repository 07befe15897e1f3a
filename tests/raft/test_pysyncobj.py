"""pysyncobj is as `visord/raft/core` knows it.

A failure here means that a release changed a method that is overridden, called or copied there. Read what
changed, see what it means there, run the simulation, then put the new fingerprint here.
"""

from __future__ import annotations

import hashlib
import inspect
from typing import Any

import pytest
from pysyncobj.syncobj import SyncObj
from pysyncobj.transport import Transport

from visord.raft import core
from visord.raft.core import elections, following, leading, membership, node, state, stubs

PARTS = (elections, following, leading, membership, node, state, stubs)

FINGERPRINTS = {
    # replaced: a new release may do more in them than we do
    "_onTick": "cc9eb08232d005ba",
    "_SyncObj__applyLogEntries": "073db677773b5a2d",
    "_SyncObj__doApplyCommand": "1ea7aa506e950d0a",
    "_SyncObj__parseChangeClusterRequest": "b2d5d695b12e592f",
    "_SyncObj__tryLogCompaction": "c2f8a0ec14cc7312",
    "_SyncObj__loadDumpFile": "ec66e83905de703b",
    "_SyncObj__sendNextNodeIdx": "68aaeefc267b8896",
    "_SyncObj__doChangeCluster": "247d4d4101b8cd3c",
    "_SyncObj__sendAppendEntries": "9cb9073128c392fa",
    "_applyCommand": "827f207d515b2d64",
    # wrapped: what they do with a message or a log is what `core.py` relies on
    "__init__": "09df12cd7fd7d727",
    "_SyncObj__onMessageReceived": "ddfe34b6c0282179",
    "_SyncObj__deleteEntriesFrom": "3b23c411bb903d36",
    "_SyncObj__onBecomeLeader": "5a3fd97bc17dc1cf",
    # called
    "_SyncObj__generateRaftTimeout": "92ed37d3620e781a",
    "_SyncObj__setState": "2c1f239f7bd79b39",
    "_SyncObj__setCurrentTerm": "0ad5bf456ac06bd3",
    "_SyncObj__getEntries": "e29c4b33293b2101",
    "_SyncObj__getPrevLogIndexTerm": "6766914806ae2311",
}


def fingerprint(method: Any) -> str:
    return hashlib.sha256(inspect.getsource(method).encode()).hexdigest()[:16]


@pytest.mark.parametrize("name", FINGERPRINTS)
def test_a_method_is_as_it_was(name: str) -> None:
    assert fingerprint(inspect.getattr_static(SyncObj, name)) == FINGERPRINTS[name]


def test_every_overridden_name_exists_there() -> None:
    ours = {
        name
        for kind in core.Core.__mro__
        for name, value in vars(kind).items()
        if name.startswith("_SyncObj__") and callable(value)
    }
    ours |= {"_onTick", "_applyCommand"}
    assert ours <= set(FINGERPRINTS)
    assert all(hasattr(SyncObj, name) for name in ours)


def test_every_attribute_that_is_used_exists_there() -> None:
    source = inspect.getsource(SyncObj)
    with_prefix = "".join(inspect.getsource(part) for part in PARTS).split("_SyncObj__")[1:]
    names = {"".join(iter_name(piece)) for piece in with_prefix}
    missing = {name for name in names if f"self.__{name}" not in source and f"def __{name}" not in source}
    assert missing == set()


def iter_name(piece: str) -> str:
    end = next((at for at, letter in enumerate(piece) if not (letter.isalnum() or letter == "_")), len(piece))
    return piece[:end]


def test_the_transport_is_asked_for_what_ours_has() -> None:
    source = inspect.getsource(SyncObj)
    used = {piece[: piece.index("(")] for piece in source.split("self.__transport.")[1:] if "(" in piece[:40]}
    ours = stubs.Answers()
    assert {name for name in used if name.isidentifier() and not hasattr(ours, name)} == set()
    assert isinstance(ours, Transport)
