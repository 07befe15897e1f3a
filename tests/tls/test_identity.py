"""Whose a certificate is: by one name, compared whole, or nobody's."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from visord.tls.identity import identity_of, not_of_member, user_of


def certificate(*names: tuple[str, str], common: str = "") -> dict[str, Any]:
    subject = ((("commonName", common),),) if common else ()
    return {
        "subject": subject,
        "subjectAltName": names,
        "serialNumber": "0A",
        "notAfter": "Jan  2 00:00:00 1970 GMT",
    }


def test_the_user_is_the_one_name() -> None:
    assert user_of(certificate(("URI", "visor:user/ci"))) == "ci"
    assert (
        user_of(certificate(("DNS", "ci.example"), ("URI", "https://x/"), ("URI", "visor:user/a.b_c@d-9")))
        == "a.b_c@d-9"
    )


@pytest.mark.parametrize(
    "names",
    [
        (),
        (("DNS", "visor:user/ci"),),
        (("email", "visor:user/ci"),),
        (("URI", "visor:user/ci"), ("URI", "visor:user/root")),
        (("URI", "visor:user/ci"), ("URI", "visor:user/ci")),
        (("URI", "visor:user/ci"), ("URI", "visor://7f3a/member/5f2c")),
        (("URI", "visor:user/ci"), ("URI", "VISOR:user/root")),
        (("URI", "VISOR:user/ci"),),
        (("URI", "visor:USER/ci"),),
        (("URI", "visor:user/"),),
        (("URI", "visor:user/ci/root"),),
        (("URI", "visor:user/ci?x"),),
        (("URI", "visor:user/%63i"),),
        (("URI", "visor:user/ci\x00.evil"),),
        (("URI", "visor:user/ci\n"),),
        (("URI", " visor:user/ci"),),
        (("URI", "visor:user/ci "),),
        (("URI", "visor:user/cí"),),
        (("URI", "visor:user/" + "a" * 65),),
        (("URI", "visor:member/5f2c"),),
        (("URI", "visor://7f3a/user/ci"),),
    ],
)
def test_whatever_is_not_exactly_that_is_nobody(names: tuple[tuple[str, str], ...]) -> None:
    assert user_of(certificate(*names, common="root")) is None


@given(st.text())
def test_no_text_becomes_another_name(text: str) -> None:
    assert user_of(certificate(("URI", f"visor:user/{text}"))) in (text, None)


MEMBER = "visor://7f3a/member/5f2c"


@pytest.mark.parametrize(
    ("marks", "cluster", "member", "fits"),
    [
        ((), "7f3a", "5f2c", True),
        (("https://x/",), "7f3a", "5f2c", True),
        ((MEMBER,), "7f3a", "5f2c", True),
        ((MEMBER,), None, "5f2c", True),
        ((MEMBER,), "7f3a", None, True),
        ((MEMBER,), "7f3b", "5f2c", False),
        ((MEMBER,), "7f3a", "5f2d", False),
        ((MEMBER, "visor://7f3a/member/5f2d"), "7f3a", "5f2c", False),
        ((MEMBER, "visor:user/ci"), "7f3a", "5f2c", False),
        (("visor:user/ci",), "7f3a", "5f2c", False),
        (("visor:user/ci",), None, None, False),
        (("visor://7f3a/member/5f2c/x",), "7f3a", None, False),
        (("VISOR://7f3a/member/5f2c",), "7f3a", "5f2c", False),
    ],
)
def test_a_certificate_of_a_user_or_of_another_member_speaks_for_no_member(
    marks: tuple[str, ...], cluster: str | None, member: str | None, fits: bool
) -> None:
    shown = certificate(*(("URI", mark) for mark in marks))
    assert (not_of_member(shown, cluster, member) is None) == fits


def test_the_rest_is_what_it_can_be_taken_back_by() -> None:
    found = identity_of(certificate(("URI", "visor:user/ci")), b"der")
    assert found.serial == 10
    assert found.ends == 86400.0
    assert found.fingerprint == hashlib.sha256(b"der").hexdigest()
