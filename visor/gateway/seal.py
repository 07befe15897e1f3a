"""A token in two halves, neither of which says anything of it: one is the browser's cookie, the other the page's.

    cookie   what the token is after it was mixed with noise, and a mark that shows whether both halves belong together
    key      where the noise comes from: 32 random bytes, used once, for this token

Nobody keeps either of them but the browser, so any gateway can put them together, and one that starts anew can.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from typing import Final

KEY_BYTES: Final = 32
_MARK_BYTES: Final = 16
MOST: Final = 2048
"""Characters of a cookie that is looked at: those of the longest token, and more."""


def seal(token: str, key: bytes) -> tuple[str, str]:
    """Return the cookie and the key of a token, as text. `key`: random bytes that serve for nothing else.

    >>> cookie, key = seal("vis_a_b", bytes(32))
    >>> unseal(cookie, key)
    'vis_a_b'
    """
    plain = token.encode("ascii")
    mixed = _mixed(plain, key)
    return _text(_mark(mixed, key) + mixed), _text(key)


def unseal(cookie: str, key: str) -> str | None:
    """Return the token of the two halves; None where they do not belong together, or are none."""
    sealed, noise = _bytes(cookie), _bytes(key)
    if sealed is None or noise is None or len(noise) != KEY_BYTES or len(sealed) <= _MARK_BYTES:
        return None
    mark, mixed = sealed[:_MARK_BYTES], sealed[_MARK_BYTES:]
    if not hmac.compare_digest(mark, _mark(mixed, noise)):
        return None
    return _mixed(mixed, noise).decode("ascii")


def _mixed(data: bytes, key: bytes) -> bytes:
    noise = hashlib.shake_256(b"visor session noise" + key).digest(len(data))
    return bytes(one ^ other for one, other in zip(data, noise, strict=True))


def _mark(mixed: bytes, key: bytes) -> bytes:
    return hashlib.blake2b(mixed, digest_size=_MARK_BYTES, key=key, person=b"visor session").digest()


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _bytes(text: str) -> bytes | None:
    if len(text) > MOST or not text.isascii():
        return None
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
