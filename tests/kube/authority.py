"""A certificate authority of a test's own, by the openssl program."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Authority:
    """A CA in a folder of its own; `pem` is its certificate."""

    folder: Path
    name: str = "test-ca"

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.openssl(
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={self.name}",
            "-keyout", "ca.key", "-out", "ca.crt",
        )  # fmt: skip

    @property
    def path(self) -> Path:
        return self.folder / "ca.crt"

    @property
    def pem(self) -> str:
        return self.path.read_text()

    def issue(self, name: str, alternatives: str = "", *, expired: bool = False) -> Path:
        """Return a PEM file with a certificate and its key; `alternatives` as "IP:127.0.0.1,DNS:example"."""
        self.openssl(
            "req",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-subj",
            f"/CN={name}",
            "-keyout",
            f"{name}.key",
            "-out",
            f"{name}.csr",
        )
        extensions = self.folder / f"{name}.ext"
        extensions.write_text(f"subjectAltName={alternatives}\n" if alternatives else "")
        self.openssl(
            "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial",
            "-days", "-1" if expired else "2", "-out", f"{name}.crt", "-extfile", extensions.name,
        )  # fmt: skip
        both = self.folder / f"{name}.pem"
        both.write_text((self.folder / f"{name}.crt").read_text() + (self.folder / f"{name}.key").read_text())
        return both

    def openssl(self, *arguments: str) -> None:
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True, timeout=60)
