"""What the gateway counts, as Prometheus reads it: `/metrics`. Names of paths and callers are in none of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

PREFIX: Final = "visor_gateway_"


class Counts:
    """Counters of one process."""

    def __init__(self) -> None:
        self.requests: Counter[tuple[str, str, int]] = Counter()
        """By group of routes, method and status."""
        self.refused: Counter[str] = Counter()
        """By the code of the problem."""
        self.cut: Counter[str] = Counter()
        """Connections that were cut, by why: what never became a request, and readers that took nothing."""
        self.certificate: Counter[str] = Counter()
        """Looks at files of TLS that had changed, by what came of it."""
        self.events = 0
        self.streams = 0

    def text(self, upstream: int) -> bytes:
        """Return all of it."""
        lines = [
            *_counter("requests_total", "Requests that were answered.", {
                f'{{group="{group}",method="{method}",status="{status}"}}': count
                for (group, method, status), count in sorted(self.requests.items())
            }),
            *_counter("refused_total", "Requests that ended as a problem, by its code.", {
                f'{{code="{code}"}}': count for code, count in sorted(self.refused.items())
            }),
            *_counter("cut_total", "Connections that were cut, by why.", {
                f'{{why="{why}"}}': count for why, count in sorted(self.cut.items())
            }),
            *_counter("certificate_changes_total", "Times that files of TLS had changed, by what came of it.", {
                f'{{outcome="{outcome}"}}': count for outcome, count in sorted(self.certificate.items())
            }),
            *_counter("events_total", "Events that were sent on streams.", {"": self.events}),
            *_gauge("streams", "Streams that are open.", self.streams),
            *_gauge("upstream_connections", "Connections to the registry, one for each caller.", upstream),
        ]  # fmt: skip
        return ("\n".join(lines) + "\n").encode()


def _counter(name: str, about: str, values: Mapping[str, int]) -> list[str]:
    head = [f"# HELP {PREFIX}{name} {about}", f"# TYPE {PREFIX}{name} counter"]
    return head + [f"{PREFIX}{name}{labels} {count}" for labels, count in values.items()]


def _gauge(name: str, about: str, value: int) -> list[str]:
    return [f"# HELP {PREFIX}{name} {about}", f"# TYPE {PREFIX}{name} gauge", f"{PREFIX}{name} {value}"]
