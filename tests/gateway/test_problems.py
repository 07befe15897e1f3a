"""Whatever can go wrong has a status, a family and a page; nothing that may have happened is told as if it had not."""

from __future__ import annotations

import json

import pytest

from visor import errors
from visor.gateway import problems
from visor.protocol import codes


@pytest.mark.parametrize("code", sorted(codes.FAMILY))
def test_every_word_of_the_registry_is_a_problem_of_its_family(code: str) -> None:
    told = problems.of_error(
        errors.from_wire(code, "words", {"missing": "read", "data": b"\xff", "more": [1, (2,)]})
    )
    assert told["family"] == codes.FAMILY[code]
    assert told["code"] == code
    family = {"unknown": (504,), "unavailable": (503, 507)}.get(told["family"])
    assert told["status"] in family if family else 400 <= told["status"] <= 501
    json.dumps(told)


def test_every_problem_has_a_page() -> None:
    pages = problems.pages()
    assert pages.keys() >= codes.FAMILY.keys() | problems.OWN.keys()
    assert all(words for _, _, words in pages.values())


def test_a_condition_that_does_not_hold_is_412_and_a_conflict_without_one_409() -> None:
    error = errors.RevMismatch(path="/a", expected=1, actual=2)
    assert problems.of_error(error)["status"] == 409
    assert problems.of_error(error, guarded=True)["status"] == 412


def test_who_shows_nothing_is_asked_who_it_is() -> None:
    missing = errors.Denied(missing="read on /a")
    assert problems.of_error(missing, known=False)["status"] == 401
    assert problems.of_error(missing, known=True)["status"] == 403
    assert problems.of_error(errors.Denied("no such token"), known=True)["code"] == "bad_token"


def test_details_never_stand_for_what_is_the_problems_own() -> None:
    told = problems.of_error(errors.Rejected("words", status=200, type="evil", code="x"))
    assert (told["status"], told["type"]) == (409, "/docs/problems/rejected")
