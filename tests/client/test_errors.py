"""The tree of errors: complete, typed, pickle-able, and worded so that one knows what to do."""

from __future__ import annotations

import pickle

import pytest

from visor import errors
from visor.protocol import codes

DETAILS = {
    "path": "/a",
    "expected": 3,
    "actual": 5,
    "rev": 7,
    "why": "no slash",
    "glob": "x",
    "guard": 1,
    "floor": 9,
    "asked": 20,
    "what": "value",
    "limit": 10,
    "field": "at",
    "supported": [1],
    "free": 0,
    "leader": "n2",
}


def test_every_code_of_the_protocol_has_one_class_in_its_family() -> None:
    families = {
        codes.REJECTED: errors.Rejected,
        codes.UNAVAILABLE: errors.Unavailable,
        codes.UNKNOWN: errors.OutcomeUnknown,
    }
    assert set(errors.BY_CODE) == set(codes.FAMILY)
    for code, family in codes.FAMILY.items():
        error = errors.from_wire(code, "text", {})
        assert type(error) is errors.BY_CODE[code]
        assert isinstance(error, families[family])


@pytest.mark.parametrize("code", sorted(codes.FAMILY))
def test_errors_survive_pickling_with_attributes_notes_and_message(code: str) -> None:
    error = errors.from_wire(code, "what happened", DETAILS)
    error.add_note("while starting web.3")
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert str(copy) == str(error)
    assert copy.details == error.details
    assert copy.__notes__ == ["while starting web.3"]
    for field in type(error).fields:
        assert getattr(copy, field) == getattr(error, field)


@pytest.mark.parametrize(
    "error",
    [
        errors.ClientClosed(),
        errors.ForkedClient(opened_in=1, used_in=2),
        errors.WriteTimeout(seconds=2.0),
        errors.DecodeError(path="/a", codec="json"),
    ],
)
def test_errors_of_the_client_itself_are_pickled_too(error: errors.VisorError) -> None:
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), copy.details) == (type(error), str(error), error.details)


def test_a_message_names_what_was_wrong_and_what_was_expected() -> None:
    assert str(errors.RevMismatch(path="/a", expected=3, actual=5)) == "/a: expected rev 3, found rev 5"
    assert str(errors.NotFound(path="/a", rev=None)) == "/a: not found"
    assert str(errors.NotFound(path="/a", rev=4)) == "/a: not found at rev 4"
    assert "history starts at rev 9" in str(errors.from_wire("compacted", "", {"floor": 9, "rev": 2}))
    assert "call client.reopen()" in str(errors.ForkedClient(opened_in=1, used_in=2))


def test_a_field_that_the_registry_left_out_is_none_and_a_foreign_one_is_no_attribute() -> None:
    error = errors.from_wire("rev_mismatch", "changed", {"path": "/a"})
    assert isinstance(error, errors.RevMismatch)
    assert str(error) == "changed"
    assert error.actual is None
    assert error.operation is None
    with pytest.raises(AttributeError):
        _ = error.floor


def test_an_unknown_code_of_a_later_server_is_an_unknown_outcome() -> None:
    assert type(errors.from_wire("weather", "rain", {})) is errors.OutcomeUnknown


def test_deadlines_are_timeout_errors_and_decoding_is_a_value_error() -> None:
    assert isinstance(errors.DeadlineExceeded(seconds=1.0), TimeoutError)
    assert isinstance(errors.WriteTimeout(seconds=1.0), TimeoutError)
    assert isinstance(errors.DecodeError(path="/a", codec="int"), ValueError)
