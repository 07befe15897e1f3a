"""An instance in a state *is* a set of files; a move writes the difference between two sets.

                     pending   claimed   running   stopping   ended
    /apps/A/instances/R/P/E/N   the record in every state until it is unregistered
    /ids/N                      where it is; the tombstone afterwards
    /apps/A/live/R/P/E/N       x         x  *      x  *
    /apps/A/stopping/R/P/E/N                                  x  *
    /tickets/open/N            copy
    /tickets/claimed/HOST/N              copy *               copy *
    /hosts/HOST/N                                  copy *     copy *

    copy: the same bytes as the record          *: attached to the lease of the host, if it has one

So no operation can forget a part, and `verify` knows what must be there. When a lease ends, the server deletes what is
attached to it in one rev. The record still says "running" then, but no index counts the instance any more, and it reads
as `lost`: a taken instance whose lease has no `/leases/L`.
"""

from __future__ import annotations

from dataclasses import replace

from visor._core.registry import layout
from visor._core.registry.model import CLAIMS_KEPT, IdRecord, InstanceRecord, Mark, TicketRecord
from visor._core.registry.plan import Files, Plan
from visor._core.registry.records import encode
from visor._core.registry.states import STAYING, TAKEN, State, Status

LEASE_ENDED = "the lease of its host ended"


def record_path(record: InstanceRecord) -> str:
    """Return where the record of an instance is."""
    return f"{layout.group(record.app, 'instances', *record.key[1:])}/{layout.number(record.id)}"


def index_path(record: InstanceRecord) -> str | None:
    """Return the entry by which an instance is counted, None when it is not."""
    if record.state in STAYING:
        kind = "live"
    elif record.state is State.STOPPING:
        kind = "stopping"
    else:
        return None
    return f"{layout.group(record.app, kind, *record.key[1:])}/{layout.number(record.id)}"


def epoch_path(record: InstanceRecord) -> str:
    """Return the file that is rewritten whenever an entry of the group's `live` comes or goes."""
    return layout.group(record.app, "epoch", *record.key[1:])


def is_lost(record: InstanceRecord, leases: frozenset[int] | set[int]) -> bool:
    """Whether its lease has ended; `leases` are those that exist at the rev of the record."""
    return record.lease != 0 and record.state in TAKEN and record.lease not in leases


def as_lost(record: InstanceRecord) -> InstanceRecord:
    """Return the record as it reads once its lease has ended."""
    return replace(record, state=State.LOST, end=Mark("lease", LEASE_ENDED, ""))


def files(record: InstanceRecord) -> Files:
    """Return every file of an instance in its state."""
    data = encode(record)
    lease = record.lease if record.state in TAKEN else 0
    number = record.id
    result: Files = {
        record_path(record): (data, 0),
        layout.identity(number): (encode(identity(record)), 0),
    }
    index = index_path(record)
    if index is not None:
        result[index] = (b"", lease)
    if record.state is State.PENDING:
        result[layout.open_ticket(number)] = (data, 0)
    elif record.host is not None:
        if record.state in (State.CLAIMED, State.STOPPING):
            result[layout.claimed_ticket(record.host, number)] = (data, lease)
        if record.state in (State.RUNNING, State.STOPPING):
            result[layout.host_entry(record.host, number)] = (data, lease)
    return result


def files_once_lost(record: InstanceRecord) -> Files:
    """Return what is left of a taken instance after its lease has ended."""
    data = encode(record)
    return {
        record_path(record): (data, 0),
        layout.identity(record.id): (encode(identity(record)), 0),
    }


def tombstone(record: InstanceRecord, end: Mark) -> Files:
    """Return what is left of an instance that was unregistered."""
    return tombstone_of(replace(identity(record), end=end))


def tombstone_of(record: IdRecord) -> Files:
    """Return what is left of an id that is over."""
    return {layout.identity(record.id): (encode(record), 0)}


def identity(record: InstanceRecord) -> IdRecord:
    """Return what the id of an instance says."""
    return IdRecord(record.id, record.app, record.revision, record.proc, record.env)


def change(plan: Plan, before: Files, after: Files, record: InstanceRecord) -> None:
    """Plan the move of an instance from one set of files to another, and tell its group if it is counted anew."""
    plan.turn(before, after)
    live = f"{layout.group(record.app, 'live', *record.key[1:])}/{layout.number(record.id)}"
    if (live in before) != (live in after):
        epoch = epoch_path(record)
        if not any(write[1] == epoch for write in plan.writes):
            plan.put(epoch, b"")


def with_claim(claims: tuple[tuple[str, str], ...], host: str, time: str) -> tuple[tuple[str, str], ...]:
    """Return the claims with one more, the oldest dropped where there are too many."""
    return (*claims, (host, time))[-CLAIMS_KEPT:]


# -- tickets that stand for themselves ----------------------------------------------------------------
def ticket_files(record: TicketRecord) -> Files:
    """Return every file of a ticket in its status: of one that was processed, the tombstone."""
    data = encode(record)
    result: Files = {layout.identity(record.id): (encode(ticket_identity(record)), 0)}
    if record.status is Status.UNCLAIMED:
        result[layout.open_ticket(record.id)] = (data, 0)
    elif record.status is Status.CLAIMED and record.host is not None:
        result[layout.claimed_ticket(record.host, record.id)] = (data, 0)
    return result


def ticket_identity(record: TicketRecord) -> IdRecord:
    """Return what the id of a ticket says: the ticket itself."""
    return IdRecord(record.id, record.app, record.revision, record.proc, record.env, record, record.end)
