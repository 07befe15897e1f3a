"""Values and other texts on their way out: to a terminal without harm, to JSON without loss.

A value may hold anything, and a note or an actor comes from somebody else: on a terminal a control
character could rewrite the screen, so every such text passes through `harmless`.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from visor import codecs
from visor._core.harmless import harmless, json_text

CUT = 60
"""Characters of a value in one cell of a table."""

_CODECS: dict[str, codecs.Codec[Any]] = {
    "bytes": codecs.BYTES,
    "text": codecs.TEXT,
    "int": codecs.INT,
    "list": codecs.LIST,
    "ints": codecs.INTS,
    "json": codecs.JSON,
    "msgpack": codecs.MSGPACK,
}


class Display:
    """Shows values by one codec; `name` is one of `visor.cli.settings.CODECS`."""

    def __init__(self, name: str = "bytes") -> None:
        self.name = name
        self.codec = _CODECS[name]
        self.decodes = name not in ("bytes", "text")
        """Whether a decoded value says more than the bytes."""

    def encode(self, data: bytes) -> bytes:
        """Turn a value as it was typed into what is stored; ValueError when it does not fit the codec.

        `int` takes digits, `list` and `ints` words, `json` and `msgpack` a JSON document.
        """
        if self.name == "bytes":
            return data
        if self.name == "text":
            data.decode("utf-8")
            return data
        if self.name == "msgpack":
            return self.codec.encode(json.loads(data))
        return self.codec.encode(self.codec.decode(data))

    def fields(self, data: bytes, name: str = "value") -> dict[str, Any]:
        """Return the JSON fields of a value.

        `{"value": text}` when it is UTF-8, else `{"value_base64": text}`; with a codec that decodes also
        `"decoded"`, which is left out when the codec cannot read this value.

        >>> Display().fields(b"hi"), Display("int").fields(b"7"), Display().fields(b"\\xff")
        ({'value': 'hi'}, {'value': '7', 'decoded': 7}, {'value_base64': '/w=='})
        """
        try:
            fields: dict[str, Any] = {name: data.decode("utf-8")}
        except UnicodeDecodeError:
            fields = {f"{name}_base64": base64.b64encode(data).decode("ascii")}
        if self.decodes:
            try:
                fields["decoded" if name == "value" else f"{name}_decoded"] = self.as_json(data)
            except Exception:  # a codec may raise anything; the bytes are there
                return fields
        return fields

    def as_json(self, data: bytes) -> Any:
        """Return the decoded value as JSON can say it; raises what the codec raises."""
        return _jsonable(self.codec.decode(data))

    def text(self, data: bytes) -> str:
        """Return the decoded value as one line of text; raises what the codec raises."""
        if not self.decodes:
            return data.decode("utf-8")
        return json_text(self.as_json(data))

    def cell(self, data: bytes | None) -> str:
        """Return a value as one short line for a table; never raises."""
        if data is None:
            return ""
        try:
            text = harmless(self.text(data))
        except Exception:  # not what the codec expects: show the bytes
            text = _hex(data)
        return text if len(text) <= CUT else f"{text[: CUT - 1]}…"

    def screen(self, data: bytes) -> str:
        """Return a value in full for a terminal, without control characters; never raises."""
        try:
            return harmless(self.text(data), lines=True)
        except Exception:  # not what the codec expects: show the bytes
            return harmless(data.decode("utf-8", "backslashreplace"), lines=True)


def _hex(data: bytes) -> str:
    shown = data.hex(" ") if len(data) <= 16 else f"{data[:12].hex(' ')} …"
    return f"{shown} ({len(data)} bytes)"


def _jsonable(value: Any) -> Any:
    """Return `value` with bytes as `{"base64": ...}` and keys as text, which msgpack may bring."""
    if isinstance(value, bytes):
        return {"base64": base64.b64encode(value).decode("ascii")}
    if isinstance(value, list | tuple):
        return [_jsonable(each) for each in value]
    if isinstance(value, dict):
        return {key if isinstance(key, str) else str(key): _jsonable(each) for key, each in value.items()}
    return value
