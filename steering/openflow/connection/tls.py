"""TLS between the controller and its switches, over the socket that the channel reads and writes by itself.

Python's TLS sockets read ahead: bytes may wait in the socket object although the descriptor is not readable.
Here TLS has no socket: the peer's bytes are written into a buffer, and bytes for the peer are read from another
(`ssl.MemoryBIO`).
"""

import logging
import os
import ssl
from collections.abc import Mapping
from typing import Any

LARGEST_HANDSHAKE = (
    65_536  # most bytes of a peer until the handshake is complete; a chain of certificates is far smaller
)
_READ = 65_536

log = logging.getLogger(__name__)


class TlsError(Exception):
    """The peer speaks no TLS, has no certificate of the CA, or broke the handshake off."""


def switch_context(cert: str, key: str, ca: str | None) -> ssl.SSLContext:
    """The TLS settings of the switch listener: TLS 1.2 at least. With `ca`, every switch must have a certificate of
    that CA.

    The files are PEM. Raises OSError or ssl.SSLError where they cannot be used.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.num_tickets = 0  # a switch that comes back shows its certificate again
    context.load_cert_chain(cert, key)
    if ca is not None:
        context.load_verify_locations(ca)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


class ChangedFiles:
    """Some files, and whether one of them was replaced or written since the last look."""

    def __init__(self, *paths: str | None) -> None:
        self._paths = [path for path in paths if path is not None]
        self._seen = self._stamps()

    def have_changed(self) -> bool:
        before, self._seen = self._seen, self._stamps()
        return self._seen != before

    def _stamps(self) -> list[tuple[int, int, int] | None]:
        return [_stamp(path) for path in self._paths]


def _stamp(path: str) -> tuple[int, int, int] | None:
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


class SwitchTls:
    """The TLS settings of the switch listener, by its files. A controller runs for longer than a certificate is valid, so the
    files are read anew when they have changed. Files that do not fit each other, such as a new certificate whose key is
    still to come, leave the settings as they were. Raises as `switch_context`."""

    def __init__(self, cert: str, key: str, ca: str | None) -> None:
        self._what = cert, key, ca
        self._files = ChangedFiles(*self._what)
        self._context = switch_context(*self._what)

    def context(self) -> ssl.SSLContext:
        """The settings for a new connection."""
        if self._files.have_changed():
            try:
                self._context = switch_context(*self._what)
            except (OSError, ssl.SSLError) as error:
                why = getattr(error, "reason", None) or error.strerror or str(error)
                log.error(
                    "the files of --switch-cert, --switch-key and --switch-ca have changed, and cannot be used: %s",
                    why,
                )
            else:
                log.info(
                    "the files of --switch-cert, --switch-key and --switch-ca have changed, and are in use"
                )
        return self._context


class TlsChannel:
    """One connection's TLS, on the server's side."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._shaken = 0  # bytes that the peer sent in the handshake
        self.is_open = False  # whether the handshake is complete

    def received(self, data: bytes) -> bytes:
        """Take bytes from the wire and return them decrypted; b"" where nothing is complete yet. `to_send` may have
        bytes for the peer afterwards. Raises TlsError."""
        self._incoming.write(data)
        parts: list[bytes] = []
        try:
            if not self.is_open:
                self._shaken += len(data)
                if self._shaken > LARGEST_HANDSHAKE:
                    raise TlsError
                self._tls.do_handshake()
                self.is_open = True
            while part := self._tls.read(_READ):
                parts.append(part)
        except ssl.SSLWantReadError:
            pass
        except (ssl.SSLError, ValueError) as error:
            raise TlsError(str(error)) from None
        return b"".join(parts)

    def to_send(self) -> bytes:
        """Bytes for the peer that TLS itself has made, such as those of the handshake."""
        return self._outgoing.read()

    def sealed(self, data: bytes) -> bytes:
        """`data` encrypted, as it goes over the wire. Raises TlsError."""
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[self._tls.write(rest) :]
        except (ssl.SSLError, ValueError) as error:
            raise TlsError(str(error)) from None
        return self._outgoing.read()

    def names(self) -> frozenset[str]:
        """The names in the peer's certificate: its DNS names, and where there are none its common name."""
        return certificate_names(self._tls.getpeercert() or {})


def certificate_names(found: Mapping[str, Any]) -> frozenset[str]:
    """The names in a certificate as `ssl` shows it: its DNS names, and where there are none its common name."""
    alternatives = frozenset(str(name) for kind, name in found.get("subjectAltName", ()) if kind == "DNS")
    if alternatives:
        return alternatives
    pairs = (pair for part in found.get("subject", ()) for pair in part)
    return frozenset(str(value) for kind, value in pairs if kind == "commonName")
