"""What can be asked of roles, users and tokens. No digest and no password is ever told.

    whoami  {}                                       ->  {"user": "ci", "credential": "k3x9q2mv7a", "expires": 0,
                                                          "roles": ["deployer"], "grants": [["write", [1, "/apps"]]]}
    can     {"right": "write", "selector": [0, "/apps/web"], "user": "ci"}
                                                     ->  {"allowed": true, "roles": ["deployer"], "missing": nil}
    narrow  {"rights": ["read"], "selector": [1, "/"]}
                                                     ->  {"selectors": [[1, "/apps"], [0, "/hosts/a"]], "whole": false,
                                                          "left_out": false}     what of it the rights are granted on
    roles   {}                                       ->  [["deployer", [["write", [1, "/apps"]]]], ...]
    users   {}                                       ->  [["ci", ["deployer"], false], ...]     has it a password?
    tokens  {}                                       ->  [["k3x9q2mv7a", "ci", 0, 1764400000000, "laptop"], ...]
    revoked {}                                       ->  [["4b7a...", 1764400000000, "ci's old laptop"], ...]
    joins   {}                                       ->  [[id, name, hosts, learner, expires, created, by, member], ...]

Whoever has said HELLO may ask for itself; about others, and for the lists, it takes admin on everything (`needs`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from visor.protocol.limits import SELECTORS, Limits
from visord.state.auth.auth_store import AuthStore
from visord.state.auth.effort import MESSAGE, NARROWING, Effort
from visord.state.auth.grant import RIGHTS, Grant, parse_grant
from visord.state.auth.narrowing import narrow
from visord.state.auth.principal import ANONYMOUS, credential_of, user_of
from visord.state.auth.rights import Rights
from visord.state.refusal import Refusal, bad_request, too_large
from visord.state.selector import parse

OWN: Final = frozenset({"whoami", "can", "narrow"})
"""Questions that somebody may ask about itself."""


def about_itself(question: Any, arguments: Any) -> bool:
    """Tell whether it is a question about who asks."""
    return type(question) is str and question in OWN and not (type(arguments) is dict and "user" in arguments)


def answer(table: AuthStore, author: str, question: Any, arguments: Any, limits: Limits) -> Any:
    """Return the answer to a question that `author` may ask, or what is wrong with it."""
    entry = _QUESTIONS.get(question) if type(question) is str else None
    if entry is None:
        return bad_request("question", f"one of {', '.join(sorted(_QUESTIONS))}", question)
    do, required, optional = entry
    if type(arguments) is not dict or not required <= arguments.keys() <= required | optional:
        names = ", ".join(sorted(required)) or "nothing"
        more = f" and perhaps {', '.join(sorted(optional))}" if optional else ""
        return bad_request("arguments", f"a map with {names}{more}", arguments)
    return do(table, author, arguments, limits)


def _whoami(table: AuthStore, author: str, arguments: Mapping[str, Any], limits: Limits) -> Any:
    user, credential = user_of(author) or ANONYMOUS, credential_of(author)
    token = table.tokens.get(credential)
    return {
        "user": user,
        "credential": credential,
        "expires": 0 if token is None else token.expires,
        "roles": _roles_of(table, user),
        "grants": [grant.row for role in _roles_of(table, user) for grant in table.roles[role].grants],
    }


def _roles_of(table: AuthStore, user: str) -> list[str]:
    """Return the roles whose grants a user has: its own, and everybody's."""
    known = table.users.get(user)
    if known is None:
        return []
    return list(dict.fromkeys((*known.roles, *table.users[ANONYMOUS].roles)))


def _can(table: AuthStore, author: str, arguments: Mapping[str, Any], limits: Limits) -> Any:
    user = arguments.get("user", user_of(author) or ANONYMOUS)
    if type(user) is not str or user not in table.users:
        return bad_request("user", "a user", user)
    wanted = parse_grant([arguments["right"], arguments["selector"]], limits)
    if isinstance(wanted, Refusal):
        return wanted
    effort = Effort(MESSAGE)
    allowed = table.rights(user).covers(wanted.right, wanted.selector, effort)
    return {
        "allowed": allowed,
        "roles": _by_which(table, user, wanted, effort) if allowed else [],
        "missing": None if allowed else str(wanted),
    }


def _narrow(table: AuthStore, author: str, arguments: Mapping[str, Any], limits: Limits) -> Any:
    selector = parse(arguments["selector"], limits)
    if isinstance(selector, Refusal):
        return selector
    wanted = arguments["rights"]
    if (
        type(wanted) is not list
        or not 1 <= len(wanted) <= len(RIGHTS)
        or not all(each in RIGHTS for each in wanted)
    ):
        return bad_request("rights", f"a list of {', '.join(RIGHTS)}", wanted)
    found = narrow(table.rights(user_of(author) or ANONYMOUS), wanted, selector, Effort(NARROWING))
    if len(found.parts) > SELECTORS:
        return too_large("selectors that are granted: ask for less at once", SELECTORS, len(found.parts))
    return {"selectors": found.parts, "whole": found.whole, "left_out": found.left_out}


def _by_which(table: AuthStore, user: str, wanted: Grant, effort: Effort) -> list[str]:
    """Return the first role that is enough by itself, as far as the effort goes, or all that together are."""
    roles = _roles_of(table, user)
    for name in roles:
        if Rights(table.roles[name].grants).covers(wanted.right, wanted.selector, effort):
            return [name]
    return [name for name in roles if any(grant.right == wanted.right for grant in table.roles[name].grants)]


def _role_list(table: AuthStore, author: str, arguments: Mapping[str, Any], limits: Limits) -> Any:
    roles = sorted(table.roles.values(), key=lambda role: role.name)
    return [[role.name, [grant.row for grant in role.grants]] for role in roles]


def _user_list(table: AuthStore, author: str, arguments: Mapping[str, Any], limits: Limits) -> Any:
    users = sorted(table.users.values(), key=lambda user: user.name)
    return [[user.name, list(user.roles), user.password is not None] for user in users]


def _token_list(table: AuthStore, author: str, arguments: Mapping[str, Any], limits: Limits) -> Any:
    tokens = sorted(table.tokens.values(), key=lambda token: (token.user, token.created, token.id))
    return [[token.id, token.user, token.expires, token.created, token.purpose] for token in tokens]


def _revoked_list(table: AuthStore, author: str, arguments: Mapping[str, Any], limits: Limits) -> Any:
    revoked = sorted(table.revoked.values(), key=lambda row: (row.at, row.fingerprint))
    return [[row.fingerprint, row.at, row.purpose] for row in revoked]


def _join_list(table: AuthStore, author: str, arguments: Mapping[str, Any], limits: Limits) -> Any:
    return [
        [
            token.id,
            token.name,
            list(token.hosts),
            token.learner,
            token.expires,
            token.created,
            token.by,
            token.member,
        ]
        for token in table.joins
    ]


_Question = Callable[[AuthStore, str, Mapping[str, Any], Limits], Any]

_QUESTIONS: Final[dict[str, tuple[_Question, frozenset[str], frozenset[str]]]] = {
    "whoami": (_whoami, frozenset(), frozenset()),
    "can": (_can, frozenset({"right", "selector"}), frozenset({"user"})),
    "narrow": (_narrow, frozenset({"rights", "selector"}), frozenset()),
    "roles": (_role_list, frozenset(), frozenset()),
    "users": (_user_list, frozenset(), frozenset()),
    "tokens": (_token_list, frozenset(), frozenset()),
    "revoked": (_revoked_list, frozenset(), frozenset()),
    "joins": (_join_list, frozenset(), frozenset()),
}
"""Question -> (its answer, arguments that it needs, arguments that it may have)."""
