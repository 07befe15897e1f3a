"""What a registry has to keep, as functions over a recorded history: one property a file, for simulated and real runs.

    violations = check(history)         # [] when everything was kept

Whoever records fills a `history.History`; nothing in here knows where it came from, and nothing of `visord` is used.
"""

from tests.checkers.catalogue import PROPERTIES, check
from tests.checkers.history import History, Violation

__all__ = ["PROPERTIES", "History", "Violation", "check"]
