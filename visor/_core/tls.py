"""How a client speaks TLS: which authority it trusts, what it shows, and which name it expects."""

from __future__ import annotations

from visor._core.dataclass import dataclass
from visor._core.public import public
from visor._core.shown import shown

SYSTEM = "system"
"""What stands in VISOR_CACERT or a context for the authorities that the system trusts."""


@dataclass(frozen=True, slots=True)
class TLS:
    """Speak TLS, and believe nobody who cannot show that the address that was dialled is his.

        visor.dial("n1.example:8046", tls=visor.TLS(ca="/etc/visor/ca.pem"))
        visor.dial("10.0.0.1:8046", tls=visor.TLS(ca="ca.pem", cert="me.pem", key="me.key"))

    All are names of PEM files. They are read when a client is dialled, and again for each connection when they have
    changed. ValueError for a key without a certificate, or a name that is none.
    """

    ca: str | None = None
    """The authorities that may have made the node's certificate; None: those that the system trusts."""
    cert: str | None = None
    """This client's certificate, for nodes that ask for one (and those between it and the authority's)."""
    key: str | None = None
    """Its private key, which nobody else may read (mode 0600); None: it is in the same file."""
    server_name: str | None = None
    """A name that each node's certificate must carry; None: the name or address that is dialled."""

    def __post_init__(self) -> None:
        if self.key is not None and self.cert is None:
            raise ValueError("a key is of no use without its certificate: give cert, too")
        if self.server_name is not None and not _is_name(self.server_name):
            raise ValueError(f"server_name must be the name of a host, not {shown(self.server_name)}")

    @property
    def is_private(self) -> bool:
        """Whether a node that was only told of proves as much as one that was given: by an authority, or a name."""
        return self.ca is not None or self.server_name is not None


def _is_name(text: str) -> bool:
    """Whether a certificate could carry it."""
    try:
        encoded = text.encode("idna")
    except UnicodeError:  # a label that no name can have
        return False
    return 0 < len(encoded) < 254 and text.isprintable() and not text.startswith(".") and " " not in text


public("visor", TLS)
