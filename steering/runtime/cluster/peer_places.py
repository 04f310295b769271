"""Where controllers listen for each other, and how they prove who they are: by certificates, or by a folder of their own."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from socket import AF_UNIX
from typing import Any

import eventlet


@dataclass(frozen=True, slots=True)
class PeerCertificates:
    """PEM files: this controller's certificate and key, and the CA that signs only certificates of the cluster."""

    cert: str
    key: str
    ca: str

    def context(self, serves: bool) -> ssl.SSLContext:
        """The TLS settings for a server or client. Raises OSError or ssl.SSLError for files that cannot be used."""
        made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER if serves else ssl.PROTOCOL_TLS_CLIENT)
        made.minimum_version = ssl.TLSVersion.TLSv1_3
        made.check_hostname = False  # the certificate names the controller, not the machine that it runs on
        made.verify_mode = ssl.CERT_REQUIRED
        made.load_cert_chain(self.cert, self.key)
        made.load_verify_locations(self.ca)
        return made


@dataclass(frozen=True, slots=True)
class PrivateSockets:
    """A folder that only one user may enter: whoever connects to a socket in it is a controller of this machine."""

    folder: Path

    def place(self, name: str) -> str:
        """The path of a controller's socket."""
        return str(self.folder / f"{name}.peers")

    def listen(self, name: str) -> Any:
        """Raises OSError."""
        path = self.place(name)
        Path(path).unlink(missing_ok=True)  # the socket of an earlier process of that name
        return eventlet.listen(path, family=AF_UNIX, reuse_port=False)


PeerPlace = tuple[str, int] | str
"""Where a controller listens for others: address and port, or the path of a socket."""
