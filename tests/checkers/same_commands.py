"""The same command at the same index on all nodes, once each, without a gap except where a checkpoint took over."""

from __future__ import annotations

from tests.checkers.history import History, Violation

NAME = "same command at same index"


def check(history: History) -> None:
    """Raise `Violation` for two nodes, or two lives of one, that differ at an index."""
    first: dict[int, tuple[str, int, int]] = {}
    for node, entries in history.applied.items():
        for index, term, crc in entries:
            who, known_term, known_crc = first.setdefault(index, (node, term, crc))
            if (known_term, known_crc) != (term, crc):
                raise Violation(
                    NAME,
                    f"index {index} is (term {known_term}, crc {known_crc:08x}) at {who} and "
                    f"(term {term}, crc {crc:08x}) at {node}",
                )
    terms = [first[index][1] for index in sorted(first)]
    if terms != sorted(terms):
        raise Violation(NAME, f"terms fall along the log: {terms}")
