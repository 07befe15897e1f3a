"""Events for people: one line each.

rev 812: instance-fail web v1 worker 811003 on 10.0.0.1 by pm@host: out of memory
"""

from __future__ import annotations

from visor._core.registry.events import EventPath, EventType
from visor._core.registry.model import EndpointRecord, InstanceRecord


def sentence(
    type: EventType, path: EventPath, record: object, rev: int, actor: str, reason: str | None
) -> str:
    """Return what happened as one line."""
    names = (path.service, path.endpoint, path.app, path.revision, path.proc, path.env, path.instance)
    words = [f"rev {rev}: {type.value}", *(str(name) for name in names if name is not None)]
    if isinstance(record, InstanceRecord) and record.host is not None:
        words.append(f"on {record.host}")
    if isinstance(record, EndpointRecord):
        words.append(f"at {record.ip or record.host}:{record.port}")
    words.append(f"by {actor}")
    return " ".join(words) + (f": {reason}" if reason else "")
