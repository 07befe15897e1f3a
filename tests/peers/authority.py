"""A certificate authority for tests, made by the openssl program."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from visord.settings import PeerSettings


class Authority:
    """Makes certificates in a folder."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder = folder
        self.name = name
        self.certificate = folder / f"{name}.pem"
        self._key = folder / f"{name}.key"
        self._openssl(
            "req", "-x509", *_NEW_KEY, "-keyout", str(self._key), "-out", str(self.certificate), "-days", "2",
            "-subj", f"/CN={name}", "-addext", "keyUsage=critical,keyCertSign,cRLSign",
        )  # fmt: skip

    def issue(self, name: str, alternative: str, usage: str = "") -> tuple[Path, Path]:
        """Return certificate and key for `name`; `alternative` like "IP:127.0.0.1,DNS:a", `usage` like "serverAuth"."""
        certificate, key, request = (
            self.folder / f"{self.name}-{name}.{kind}" for kind in ("pem", "key", "csr")
        )
        extensions = self.folder / f"{name}.ext"
        extended = f"extendedKeyUsage={usage}\n" if usage else ""
        extensions.write_text(f"subjectAltName={alternative}\n{extended}")
        self._openssl(
            "req", *_NEW_KEY, "-keyout", str(key), "-out", str(request), "-subj", f"/CN={name}"
        )  # fmt: skip
        self._openssl(
            "x509", "-req", "-in", str(request), "-CA", str(self.certificate), "-CAkey", str(self._key),
            "-CAcreateserial", "-out", str(certificate), "-days", "2", "-extfile", str(extensions),
        )  # fmt: skip
        return certificate, key

    def settings(
        self, name: str, alternative: str = "IP:127.0.0.1", usage: str = "", **more: object
    ) -> PeerSettings:
        """Return settings of a member with a certificate of its own."""
        certificate, key = self.issue(name, alternative, usage)
        return PeerSettings.model_validate(
            {"tls_cert": certificate, "tls_key": key, "tls_ca": self.certificate, **more}
        )

    def _openssl(self, *arguments: str) -> None:
        program = shutil.which("openssl")
        if program is None:
            pytest.skip("the openssl program makes the certificates of this test")
        subprocess.run([program, *arguments], check=True, capture_output=True)


_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
