"""What went wrong with TLS, in words: client and server say the same of the same.

    told(error, "the node", "2026-11-29 17:00 UTC")
    "the node's certificate has expired, unless this machine's clock (2026-11-29 17:00 UTC) is ahead"

OpenSSL tells a number where a certificate did not convince this side, and a word where the other side broke off. No
module of `ssl` is needed for it.
"""

from __future__ import annotations

WRONG_AUTHORITY = "{other}'s certificate was not made by an authority that is trusted here{hint}"
_CERTIFICATE = {
    9: (
        "{other}'s certificate is not valid yet: the clock of this machine ({clock}) is behind, or that of whoever "
        "made the certificate is ahead"
    ),
    10: "{other}'s certificate has expired, unless this machine's clock ({clock}) is ahead",
    18: WRONG_AUTHORITY,
    19: WRONG_AUTHORITY,
    20: WRONG_AUTHORITY,
    21: WRONG_AUTHORITY,
    24: "{other}'s certificate was made by one that is no authority",
    26: "{other}'s certificate is not meant for this (its extended key usage)",
    62: "{other}'s certificate is made out to another name than the one that was dialled: {message}",
    64: "{other}'s certificate is made out to another address than the one that was dialled: {message}",
}
"""What OpenSSL's numbers (X509_V_ERR_*) mean."""
_NO_TLS = "{other} does not speak TLS there: it sends something else"
_REASONS = (
    ("WRONG_VERSION_NUMBER", _NO_TLS),
    ("HTTP_REQUEST", _NO_TLS),
    ("RECORD_LAYER_FAILURE", _NO_TLS),
    ("PACKET_LENGTH_TOO_LONG", _NO_TLS),
    ("PEER_DID_NOT_RETURN_A_CERTIFICATE", "{other} shows no certificate, which is asked for here"),
    ("CERTIFICATE_REQUIRED", "{other} wants to see a certificate, and none is set here"),
    ("ALERT_UNKNOWN_CA", "{other} does not trust the authority of the certificate that is shown here"),
    (
        "CERTIFICATE_EXPIRED",
        "{other} says that the certificate shown here has expired, unless its clock is ahead of this one's ({clock})",
    ),
    ("CERTIFICATE_REVOKED", "{other} says that the certificate shown here was revoked"),
    (
        "BAD_CERTIFICATE",
        "{other} does not accept the certificate shown here: it is made out to another name, or not valid yet (this "
        "machine's clock: {clock})",
    ),
    ("CERTIFICATE_UNKNOWN", "{other} does not accept the certificate shown here"),
    ("UNSUPPORTED_CERTIFICATE", "{other} says that the certificate shown here is not meant for this"),
    ("UNSUPPORTED_PROTOCOL", "{other} speaks no version of TLS that is taken here"),
    ("PROTOCOL_VERSION", "{other} speaks no version of TLS that is taken here"),
    ("NO_SHARED_CIPHER", "{other} has no cipher that is taken here"),
    (
        "HANDSHAKE_FAILURE",
        "{other} broke the handshake off: it wants another certificate, or to see one, or other ciphers",
    ),
    ("EOF", "{other} hung up while TLS shook hands"),
)
"""What OpenSSL's words for breaking off mean, by a part of them."""


def is_of_tls(error: BaseException | None) -> bool:
    """Tell whether an error is one of `ssl`."""
    return any(kind.__name__ == "SSLError" for kind in type(error).__mro__)


def told(error: BaseException, other: str, clock: str, hint: str = "") -> str:
    """Return what an error of `ssl` means. `other`: who is at the other end; `clock`: what this machine's says.

    `hint` follows where the authority is the matter: how to name another one.
    """
    return _template(error).format(
        other=other,
        clock=clock,
        hint=hint,
        message=_short(getattr(error, "verify_message", "")),
        text=_short(error),
    )


def _template(error: BaseException) -> str:
    code = getattr(error, "verify_code", None)
    if code in _CERTIFICATE:
        return _CERTIFICATE[code]
    reason = str(getattr(error, "reason", None) or "")
    for part, template in _REASONS:
        if part in reason:
            return template
    return "TLS with {other} failed: {text}"


def _short(thing: object) -> str:
    return f"{thing:.200}" if isinstance(thing, str) else f"{thing!s:.200}"
