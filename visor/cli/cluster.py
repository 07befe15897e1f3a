"""How members, replicas and surveys look in each form. Pure; `visor/docs/output.md` is the contract."""

from __future__ import annotations

from typing import Any

from visor.cli.views import Cells, View, line
from visor.members import Given, Member, Membership, Replica, Report, Survey, lag


def _known(value: object) -> str:
    return "-" if value is None else str(value)


# -- members ------------------------------------------------------------------------------------------
def member_shape(member: Member) -> dict[str, Any]:
    """Return the JSON of a member."""
    return {
        "id": member.id,
        "name": member.name,
        "role": "voter" if member.voter else "learner",
        "leader": member.leader,
        "peer": member.peer,
        "client": member.client,
        "durable": member.durable,
        "behind": member.behind,
        "silent": member.silent,
    }


def head(membership: Membership) -> dict[str, Any]:
    """Return what is said of the cluster as a whole."""
    return {
        "cluster": membership.cluster,
        "leader": membership.leader,
        "term": membership.term,
        "committed": membership.committed,
        "rev": membership.rev,
        "voters": len(membership.voters),
        "needed": membership.needed,
    }


def members() -> View[Member]:
    """Rows of `cluster members`: plain is id, name, role, peer and client address, behind, silent."""

    def fields(each: Member) -> Cells:
        silent = "-" if each.silent is None else f"{each.silent:.1f}"
        return (each.id, each.name, each.role, each.peer, each.client, _known(each.behind), silent)

    columns = ("id", "name", "role", "peer", "client", "behind", "silent")
    return View(member_shape, lambda each: line(*fields(each)), columns, lambda each: [fields(each)])


def client_address(membership: Membership, peer: str) -> str | None:
    """Return where a new member with this peer address may listen for clients; None when it cannot be read.

    It is on the same host. The port is the one that most members have, or the next free one where they share the host.

    >>> # members n1 to n3 on 127.0.0.1 have 8041 to 8043
    >>> client_address(membership, "127.0.0.1:8144")
    '127.0.0.1:8044'
    """
    host, _, port = peer.rpartition(":")
    if not host or not port.isdigit():
        return None
    known = [one.client.rpartition(":") for one in membership.members]
    ports = [(where, int(number)) for where, _, number in known if number.isdigit()]
    here = [number for where, number in ports if where == host]
    if here:
        return f"{host}:{max(here) + 1}"
    numbers = [number for _, number in ports]
    return f"{host}:{max(numbers, key=numbers.count)}" if numbers else None


# -- surveys ------------------------------------------------------------------------------------------
def report_shape(report: Report) -> dict[str, Any]:
    """Return the JSON of what one member told of itself."""
    status = report.status or {}
    told = (
        *("server", "term", "applied", "committed", "durable", "rev", "files", "watches", "log_bytes"),
        *("format", "format_waits_for", "redactions_owed"),
    )
    return {
        **member_shape(report.member),
        "answers": report.status is not None,
        "problem": report.problem,
        "behind": lag(report) if report.status is not None else report.member.behind,
        **{name: status.get(name) for name in told},
        "alarms": list(report.alarms),
    }


def reports() -> View[Report]:
    """Rows of `cluster status`: plain is name, role, client address, state, term, applied, behind, rev."""

    def fields(each: Report) -> Cells:
        member = each.member
        if each.status is None:
            return (member.name, member.role, member.client, "away", "-", "-", _known(member.behind), "-")
        state = "alarm" if each.alarms else "ok"
        numbers = [_known(each.number(name)) for name in ("term", "applied")]
        return (
            *(member.name, member.role, member.client, state, *numbers),
            *(str(lag(each)), _known(each.number("rev"))),
        )

    def cells(each: Report) -> list[Cells]:
        server = str((each.status or {}).get("server", "-")).removeprefix("visord/")
        words = "; ".join(each.alarms) or each.problem or _waits(each)
        return [(*fields(each), server, words)]

    columns = ("name", "role", "client", "state", "term", "applied", "behind", "rev", "version", "alarm")
    return View(report_shape, lambda each: line(*fields(each)), columns, cells)


def _waits(report: Report) -> str:
    """Return what this member, or an upgrade of it, waits for."""
    status = report.status or {}
    install = fetching(status.get("install"))
    if install:
        return install
    names = status.get("format_waits_for")
    owed = report.number("redactions_owed")
    if owed:
        return f"redacted values are removed from its files ({owed} owed)"
    if not isinstance(names, list) or not names:
        return ""
    return f"commands keep format {report.number('format')} until these are upgraded: {', '.join(map(str, names))}"


def fetching(install: Any) -> str:
    """Say how far a member is that fetches a checkpoint; "" of one that does not."""
    if not isinstance(install, dict):
        return ""
    if install.get("installing"):
        return "takes over the checkpoint that it fetched"
    here, whole = install.get("bytes"), install.get("of")
    if not isinstance(here, int) or not isinstance(whole, int) or whole <= 0:
        return "fetches a checkpoint"
    return f"fetches a checkpoint: {here / 1e6:.1f} of {whole / 1e6:.1f} MB, {100 * here // whole} %"


def status_head(survey: Survey) -> dict[str, Any]:
    """Return what stands before the members in the JSON of `cluster status`."""
    given = [given_shape(given) for given in survey.given]
    return {**head(survey.membership), "healthy": survey.healthy, "given": given}


def survey_shape(survey: Survey) -> dict[str, Any]:
    """Return the JSON of `cluster health`."""
    return {
        "healthy": survey.healthy,
        "problems": list(survey.problems),
        **head(survey.membership),
        "members": [report_shape(report) for report in survey.reports],
        "given": [given_shape(given) for given in survey.given],
    }


def given_shape(given: Given) -> dict[str, Any]:
    """Return the JSON of who is at an address that was given and that no member advertises."""
    return {
        "address": given.address,
        "cluster": given.cluster,
        "node": given.node or None,
        "members": given.members,
        "problem": given.problem,
    }


# -- comparisons --------------------------------------------------------------------------------------
def replicas() -> View[Replica]:
    """Rows of `cluster hash`: plain is name, id, digest (`-` when there is none), why, rev."""

    def fields(each: Replica) -> Cells:
        return (each.name, each.id, _known(each.digest), each.why, _known(each.rev))

    return View(
        lambda each: {
            "id": each.id,
            "name": each.name,
            "digest": each.digest,
            "why": each.why,
            "rev": each.rev,
        },
        lambda each: line(*fields(each)),
        ("name", "id", "digest", "why", "rev"),
        lambda each: [fields(each)],
    )
