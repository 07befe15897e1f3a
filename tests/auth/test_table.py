"""Roles, users and tokens: what each change does, what is refused, and that a refused one changes nothing."""

from __future__ import annotations

from typing import Any, Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from visor.protocol import verbs
from visord.state.auth.auth_store import (
    ANONYMOUS,
    MAX_GRANTS,
    MAX_TOKENS,
    MAX_USER_ROLES,
    MAX_USER_TOKENS,
    ROOT,
    AuthStore,
)
from visord.state.auth.grant import ADMIN, HISTORY, READ, WRITE
from visord.state.auth.principal import certified_by
from visord.state.formats import RIGHTS
from visord.state.refusal import Refusal

NOW: Final = 1_000_000
APPS: Final = [verbs.SEL_TREE, "/apps"]
DIGEST: Final = b"d" * 32


def done(table: AuthStore, action: str, **arguments: Any) -> None:
    assert table.change(action, arguments, NOW) is None


def refused(table: AuthStore, action: Any, arguments: Any) -> Refusal:
    before = table.rows()
    answer = table.change(action, arguments, NOW)
    assert isinstance(answer, Refusal)
    assert table.rows() == before
    return answer


@pytest.fixture
def table() -> AuthStore:
    """A closed registry: root, a deployer and its user."""
    table = AuthStore()
    done(table, "set_user", name="boss", roles=[ROOT])
    done(table, "set_user", name=ANONYMOUS, roles=[])
    done(table, "set_role", name="deployer", grants=[[WRITE, APPS], [READ, APPS]])
    done(table, "set_user", name="ci", roles=["deployer"])
    done(table, "add_token", id="abcdefgh", user="ci", digest=DIGEST)
    return table


def test_in_the_beginning_everybody_may_do_everything() -> None:
    table = AuthStore()
    assert table.open
    assert all(table.rights(ANONYMOUS).may(right, "/a") for right in (READ, WRITE, HISTORY, ADMIN))


def test_a_user_has_the_union_of_its_roles(table: AuthStore) -> None:
    done(table, "set_role", name="historian", grants=[[HISTORY, [verbs.SEL_PATH, "/x"]]])
    done(table, "set_user", name="ci", roles=["deployer", "historian"])
    rights = table.rights("ci")
    assert rights.may(WRITE, "/apps/web") and rights.may(HISTORY, "/x")
    assert not rights.may(HISTORY, "/apps/web") and not rights.may(WRITE, "/x")


def test_nobody_and_who_proves_nothing_may_nothing(table: AuthStore) -> None:
    assert not table.open
    assert not table.rights("nobody").may(READ, "/apps")
    assert not table.rights(ANONYMOUS).may(READ, "/apps")


def test_a_change_counts_for_who_had_asked_before(table: AuthStore) -> None:
    assert table.rights("ci").may(WRITE, "/apps/web")
    version = table.version
    done(table, "set_role", name="deployer", grants=[[READ, APPS]])
    assert table.version == version + 1
    assert not table.rights("ci").may(WRITE, "/apps/web")


def test_a_user_that_is_deleted_takes_its_tokens_along(table: AuthStore) -> None:
    done(table, "delete_user", name="ci")
    assert not table.tokens
    assert not table.rights("ci").may(READ, "/apps")


def test_a_password_stays_when_roles_change(table: AuthStore) -> None:
    done(table, "set_user", name="ann", roles=["deployer"], password="$argon2id$x")
    done(table, "set_user", name="ann", roles=[])
    assert table.users["ann"].password == "$argon2id$x"
    assert "argon2id" not in repr(table.users["ann"])


def test_a_role_that_is_in_use_stays(table: AuthStore) -> None:
    assert "ci has it" in refused(table, "delete_role", {"name": "deployer"}).text
    done(table, "set_user", name="ci", roles=[])
    done(table, "delete_role", name="deployer")
    assert "deployer" not in table.roles


LOCKS_OUT: Final = [
    ("set_user", {"name": "boss", "roles": []}),
    ("delete_user", {"name": "boss"}),
]


@pytest.mark.parametrize(("action", "arguments"), LOCKS_OUT)
def test_nobody_locks_everybody_out(table: AuthStore, action: str, arguments: dict[str, Any]) -> None:
    assert "admin on everything" in refused(table, action, arguments).text


def test_also_not_by_taking_a_grant_from_a_role(table: AuthStore) -> None:
    done(table, "set_role", name="ruler", grants=[[ADMIN, [verbs.SEL_TREE, "/"]]])
    done(table, "set_user", name="boss", roles=["ruler"])
    refused(table, "set_role", {"name": "ruler", "grants": []})


BAD: Final = [
    ("dance", {}),
    (5, {}),
    ("set_role", 5),
    ("set_role", {"name": "x"}),
    ("set_role", {"name": "x", "grants": [], "more": 1}),
    ("set_role", {"name": "/x", "grants": []}),
    ("set_role", {"name": "x\n", "grants": []}),
    ("set_role", {"name": ROOT, "grants": []}),
    ("set_role", {"name": "x", "grants": [["eat", APPS]]}),
    ("set_role", {"name": "x", "grants": [[READ, APPS]] * (MAX_GRANTS + 1)}),
    ("delete_role", {"name": ROOT}),
    ("delete_role", {"name": "none"}),
    ("set_user", {"name": "x", "roles": ["none"]}),
    ("set_user", {"name": "x", "roles": [5]}),
    ("set_user", {"name": "x", "roles": "deployer"}),
    ("set_user", {"name": "x", "roles": ["deployer"] * (MAX_USER_ROLES + 1)}),
    ("set_user", {"name": "x", "roles": [], "password": 5}),
    ("set_user", {"name": ANONYMOUS, "roles": [], "password": "x"}),
    ("delete_user", {"name": ANONYMOUS}),
    ("delete_user", {"name": []}),
    ("add_token", {"id": "abcdefgh", "user": "ci", "digest": DIGEST}),  # there is one
    ("add_token", {"id": "AB", "user": "ci", "digest": DIGEST}),
    ("add_token", {"id": "bbbbbbbb", "user": ANONYMOUS, "digest": DIGEST}),
    ("add_token", {"id": "bbbbbbbb", "user": "none", "digest": DIGEST}),
    ("add_token", {"id": "bbbbbbbb", "user": "ci", "digest": b"short"}),
    ("add_token", {"id": "bbbbbbbb", "user": "ci", "digest": DIGEST, "ttl": -1}),
    ("add_token", {"id": "bbbbbbbb", "user": "ci", "digest": DIGEST, "purpose": "x" * 129}),
    ("revoke_token", {"id": "cccccccc"}),
]


@pytest.mark.parametrize(("action", "arguments"), BAD, ids=str)
def test_what_is_wrong_is_refused_and_changes_nothing(table: AuthStore, action: Any, arguments: Any) -> None:
    refused(table, action, arguments)


def test_the_tokens_of_a_user_are_bounded(table: AuthStore) -> None:
    for number in range(MAX_USER_TOKENS - 1):
        done(table, "add_token", id=f"t{number:07}", user="ci", digest=DIGEST)
    refused(table, "add_token", {"id": "zzzzzzzz", "user": "ci", "digest": DIGEST})


def test_tokens_that_have_expired_make_room_for_the_next_login(table: AuthStore) -> None:
    """A person who logs in each day by a password makes 256 tokens in less than a year."""
    for number in range(MAX_USER_TOKENS - 2):
        done(table, "add_token", id=f"t{number:07}", user="ci", digest=DIGEST, ttl=1 + number % 2)
    done(table, "set_user", name="bob", roles=[])
    done(table, "add_token", id="bobsbobs", user="bob", digest=DIGEST, ttl=1)
    done(table, "add_token", id="lastlast", user="ci", digest=DIGEST)
    more = {"id": "zzzzzzzz", "user": "ci", "digest": DIGEST}
    refused(table, "add_token", more)  # at a time at which none has expired
    before = table.rows()
    assert isinstance(table.change("add_token", more, NOW + 2, RIGHTS), Refusal)
    assert table.rows() == before, "members of before forget none"
    assert table.change("add_token", more, NOW + 1) is None
    left = [token.id for token in table.tokens.values() if token.user == "ci" and token.expires == NOW + 1]
    assert not left
    assert "abcdefgh" in table.tokens and "lastlast" in table.tokens
    assert "bobsbobs" in table.tokens, "it is in nobody's way"
    assert AuthStore.of(table.rows())._bytes == table._bytes


def test_a_refusal_forgets_no_token_that_has_expired(table: AuthStore) -> None:
    for user in range(MAX_TOKENS // MAX_USER_TOKENS - 1):
        done(table, "set_user", name=f"u{user}", roles=[])
        for number in range(MAX_USER_TOKENS):
            done(table, "add_token", id=f"t{user:03}{number:04}", user=f"u{user}", digest=DIGEST, ttl=1)
    for number in range(MAX_USER_TOKENS - 1):
        done(table, "add_token", id=f"s{number:07}", user="ci", digest=DIGEST)
    before = table.rows()
    full = {"id": "zzzzzzzz", "user": "ci", "digest": DIGEST}
    assert isinstance(table.change("add_token", {**full, "user": "boss"}, NOW), Refusal)
    assert isinstance(table.change("add_token", full, NOW + 1), Refusal)
    assert table.rows() == before
    assert table.change("add_token", {**full, "user": "boss"}, NOW + 1) is None
    assert len(table.tokens) == MAX_USER_TOKENS + 1


def test_a_certificate_is_known_as_taken_back_until_it_is_allowed(table: AuthStore) -> None:
    one, other = "ab" * 32, "ab" * 31 + "cd"  # what names them in the log is the same
    credential = certified_by(one)
    assert table.proves(credential, "ci", NOW)
    done(table, "revoke_certificate", fingerprint=one)
    assert not table.proves(credential, "ci", NOW)
    done(table, "revoke_certificate", fingerprint=other)
    done(table, "allow_certificate", fingerprint=one)
    assert not table.proves(credential, "ci", NOW)
    done(table, "allow_certificate", fingerprint=other)
    assert table.proves(credential, "ci", NOW)
    done(table, "revoke_certificate", fingerprint=one)
    assert not AuthStore.of(table.rows()).proves(credential, "ci", NOW)


names = st.sampled_from(("ann", "bob", ANONYMOUS, ROOT))
roles = st.sampled_from((ROOT, "one", "two"))
grants = st.lists(
    st.tuples(st.sampled_from((READ, WRITE, ADMIN)), st.sampled_from((APPS, [verbs.SEL_TREE, "/"]))).map(
        list
    ),
    max_size=2,
)
changes = st.one_of(
    st.tuples(st.just("set_role"), st.fixed_dictionaries({"name": roles, "grants": grants})),
    st.tuples(st.just("delete_role"), st.fixed_dictionaries({"name": roles})),
    st.tuples(
        st.just("set_user"), st.fixed_dictionaries({"name": names, "roles": st.lists(roles, max_size=2)})
    ),
    st.tuples(st.just("delete_user"), st.fixed_dictionaries({"name": names})),
    st.tuples(
        st.just("add_token"),
        st.fixed_dictionaries(
            {"id": st.sampled_from(("aaaaaaaa", "bbbbbbbb")), "user": names, "digest": st.just(DIGEST)}
        ),
    ),
    st.tuples(
        st.just("revoke_token"), st.fixed_dictionaries({"id": st.sampled_from(("aaaaaaaa", "bbbbbbbb"))})
    ),
)


@settings(max_examples=200)
@given(st.lists(changes, max_size=20))
def test_whatever_happens_it_is_whole_and_comes_back_from_its_rows(done: list[tuple[str, Any]]) -> None:
    table = AuthStore()
    for action, arguments in done:
        before = table.rows()
        if table.change(action, arguments, NOW) is not None:
            assert table.rows() == before
    assert all(role in table.roles for user in table.users.values() for role in user.roles)
    assert all(token.user in table.users for token in table.tokens.values())
    assert any(table.rights(user).may(ADMIN, "/x") for user in table.users)
    again = AuthStore.of(table.rows())
    assert again.rows() == table.rows()
    assert again._bytes == table._bytes
    assert again._tokens_of == table._tokens_of
    for user in table.users:
        for right in (READ, WRITE, ADMIN):
            assert again.rights(user).may(right, "/apps/x") == table.rights(user).may(right, "/apps/x")
