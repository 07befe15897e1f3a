"""Values and other texts on their way out: to a terminal without harm, to JSON without loss.

A value may hold anything, and a note or an actor comes from somebody else: on a terminal a control
character could rewrite the screen, so every such text passes through `harmless`.
"""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, Any

from visor import codecs
from visor._core.harmless import harmless, json_text
from visor.cli.settings import Settings

if TYPE_CHECKING:
    from visor._core.sealing import Keyring
    from visor.cli.sealed import Sealed

MARKED = b"\xc1"
"""With this begins a sealed value, no text and no msgpack: so what knows of them is loaded when one is met."""
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


def chosen(settings: Settings) -> Display:
    """Return how the options ask for values to be shown. Raises Problem for keys that cannot be used."""
    keys = None
    if settings.given("sealing_keys") is not None:
        from visor.cli.sealed import keyring

        keys = keyring(settings)
    return Display(settings.codec, keys, as_stored=settings.as_stored)


class Display:
    """Shows values by one codec; `name` is one of `visor.cli.settings.CODECS`.

    A sealed value is opened first if its key is among `keys`; else it is told that it is sealed. Its bytes mean
    nothing to anybody: they are shown to those alone who ask for them `as_stored`.
    """

    def __init__(self, name: str = "bytes", keys: Keyring | None = None, *, as_stored: bool = False) -> None:
        self.name = name
        self._keys = keys
        self._as_stored = as_stored
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
        `"decoded"`, which is left out when the codec cannot read this value. A sealed value has `"sealed"`, which
        tells its key and what it is for, and is shown opened, or in base64 when it stays closed.

        >>> Display().fields(b"hi"), Display("int").fields(b"7"), Display().fields(b"\\xff")
        ({'value': 'hi'}, {'value': '7', 'decoded': 7}, {'value_base64': '/w=='})
        """
        seal = self._look(data)
        told = {} if seal is None else {"sealed" if name == "value" else f"{name}_sealed": seal.shape}
        if seal is not None and seal.value is not None:
            data = seal.value
        try:
            fields: dict[str, Any] = {name: data.decode("utf-8")}
        except UnicodeDecodeError:
            fields = {f"{name}_base64": base64.b64encode(data).decode("ascii")}
        if self.decodes:
            try:
                decoded = _jsonable(self.codec.decode(data))
            except Exception:  # a codec may raise anything; the bytes are there
                return fields | told
            fields["decoded" if name == "value" else f"{name}_decoded"] = decoded
        return fields | told

    def _look(self, data: bytes) -> Sealed | None:
        if self._as_stored or data[:1] != MARKED:
            return None
        from visor.cli.sealed import look  # few values are sealed

        return look(data, self._keys)

    def opened(self, data: bytes) -> bytes:
        """Return the bytes for the codec: of a sealed value those inside. SealError when it stays closed."""
        seal = self._look(data)
        if seal is None:
            return data
        if seal.value is None:
            raise codecs.SealError(seal.text, seal.key)
        return seal.value

    def as_json(self, data: bytes) -> Any:
        """Return the decoded value as JSON can say it; raises what the codec raises, and SealError."""
        return _jsonable(self.codec.decode(self.opened(data)))

    def text(self, data: bytes) -> str:
        """Return the decoded value as one line of text; raises what the codec raises, and SealError."""
        if not self.decodes:
            return self.opened(data).decode("utf-8")
        return json_text(self.as_json(data))

    def cell(self, data: bytes | None) -> str:
        """Return a value as one short line for a table; never raises."""
        if data is None:
            return ""
        try:
            text = harmless(self.text(data))
        except codecs.SealError as error:
            text = f"({error})"
        except Exception:  # not what the codec expects: show the bytes
            text = _hex(self.opened(data))
        return text if len(text) <= CUT else f"{text[: CUT - 1]}…"

    def screen(self, data: bytes) -> str:
        """Return a value in full for a terminal, without control characters; never raises."""
        try:
            return harmless(self.text(data), lines=True)
        except codecs.SealError as error:
            return f"({error})"
        except Exception:  # not what the codec expects: show the bytes
            return harmless(self.opened(data).decode("utf-8", "backslashreplace"), lines=True)


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
