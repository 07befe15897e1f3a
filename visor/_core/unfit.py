"""A value that does not fit its field: what records of the domain and of typed stores are refused for."""

# ruff: noqa: N818  # as in visor.errors: the names say what the caller may believe
from __future__ import annotations


class Unfit(ValueError):
    """`field` says where, `expected` what would have fitted, `actual` what was there, as text.

    Raised where the value is looked at, named on the way out: each record or list that the value is in adds its part.
    """

    def __init__(self, expected: str, value: object, field: str = "", *, own: bool = False) -> None:
        self.expected = expected
        self.actual = shown(value)
        self.field = field
        self._own = own
        """The name says enough, whatever it is in: `reason`, not `end.reason`."""
        super().__init__(expected, field)

    def inside(self, name: str) -> Unfit:
        """Return the same, of a value inside of the field `name`; "[0]" is the first of several."""
        if not self._own:
            between = "." if self.field and self.field[0] != "[" else ""
            self.field = f"{name}{between}{self.field}"
        return self

    def or_none(self) -> Unfit:
        """Return the same, of a value that could have been None as well."""
        if not self.field and not self.expected.endswith(" or None"):
            self.expected += " or None"
        return self

    def __str__(self) -> str:
        where = f"{self.field}: " if self.field else ""
        return f"{where}expected {self.expected}, found {self.actual}"


def shown(value: object, most: int = 40) -> str:
    """Return a value as an error shows it: its repr, shortened, whatever it is."""
    try:
        text = repr(value)
    except Exception:  # a number of 5000 digits, an object of the user's own
        text = f"<{type(value).__name__}>"
    return text if len(text) <= most else f"{text[: most - 1]}…"
