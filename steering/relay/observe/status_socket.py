"""The relay's status: a JSON document on a local stream socket of mode 0600, and its reader.

A reader connects, reads to the end, and parses. There is one document per connection, and nothing is read from the
client.
"""

import contextlib
import json
import os
import socket
import stat
from collections.abc import Callable
from typing import Any

from steering.relay.kernel.sockets import mptcp_info, name_of
from steering.relay.loop.accept_backoff import AcceptBackoff
from steering.relay.loop.poller import Poller
from steering.relay.model import PlatformError
from steering.relay.observe.readers import MAX_READERS, Readers
from steering.relay.session.relay_session import RelaySession

STATUS_VERSION = 1
QUERY_TIMEOUT_S = 5.0
QUERY_MAX_BYTES = 64 * 1024 * 1024


class QueryError(RuntimeError):
    """The status could not be read. The text is one line for the operator."""


def describe(session: RelaySession, now: float) -> dict[str, Any]:
    """A session in the status document. `token`: that of the relay's own key, which the host's joins carry."""
    up, down = session.client_leg, session.server_leg
    host = mptcp_info(up.sock)
    return {
        "token": None if session.token is None else f"{session.token:08x}",
        "client": list(session.client),
        "server": list(session.server),
        "source": list(name_of(down.sock)),
        "mptcp": host is not None,
        "server_mptcp": not session.dialling and mptcp_info(down.sock) is not None,
        "dialling": session.dialling,
        "subflows": host.subflows if host else 1,
        "age_s": round(now - session.started, 3),
        "bytes_up": up.received,
        "bytes_down": down.received,
        "buffered_up": len(down.pending) if down.pending is not None else 0,
        "buffered_down": len(up.pending) if up.pending is not None else 0,
    }


def table(document: dict[str, Any]) -> str:
    """The document as text for people: sessions, then all counters that are not zero."""
    heads = ("TOKEN", "CLIENT", "SERVER", "HOST LEG", "SERVER LEG", "SUBFLOWS", "AGE", "UP", "DOWN")
    rows = [heads] + [
        (
            row["token"] or "-",
            _name(row["client"]),
            _name(row["server"]),
            "mptcp" if row["mptcp"] else "tcp",
            "dialling" if row["dialling"] else "mptcp" if row["server_mptcp"] else "tcp",
            str(row["subflows"]),
            f"{row['age_s']:.0f}s",
            str(row["bytes_up"]),
            str(row["bytes_down"]),
        )
        for row in document["sessions"]
    ]
    widths = [max(len(row[i]) for row in rows) for i in range(len(heads))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    for title in ("counters", "kernel"):
        counted = [f"{name}={value}" for name, value in document[title].items() if value]
        lines.append(f"{title}: {' '.join(counted) or 'all zero'}")
    servers = document.get("servers", {})
    slow = [f"{row['address']} ({row['left_s']:.0f}s)" for row in servers.get("slow", ())]
    if slow:
        lines.append(f"slow with MPTCP, so TCP: {' '.join(slow)}")
    if servers.get("plain_count"):
        lines.append(f"without MPTCP, so TCP: {servers['plain_count']} servers (address and port)")
    return "\n".join(lines)


def _name(endpoint: list[Any]) -> str:
    address, port = endpoint
    return f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def query(path: str) -> dict[str, Any]:
    """Read a relay's status. Raises QueryError."""
    parts: list[bytes] = []
    size = 0
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.settimeout(QUERY_TIMEOUT_S)
            sock.connect(path)
            while part := sock.recv(1 << 16):
                parts.append(part)
                size += len(part)
                if size > QUERY_MAX_BYTES:
                    raise QueryError(f"{path}: the answer is longer than {QUERY_MAX_BYTES} bytes")
        document = json.loads(b"".join(parts))
    except OSError as error:
        raise QueryError(f"{path}: no relay answers there ({error.strerror or error})") from None
    except ValueError:
        raise QueryError(f"{path}: the answer is not a relay's status") from None
    if not isinstance(document, dict) or document.get("version") != STATUS_VERSION:
        raise QueryError(f"{path}: the answer is not a relay's status of version {STATUS_VERSION}")
    return document


class StatusSocket:
    """The listening side, inside the relay's event loop.

    `document(now)` makes the document for each reader. `now`: seconds of the steady clock.
    """

    def __init__(self, path: str, document: Callable[[float], bytes], backoff: AcceptBackoff) -> None:
        self.path = path
        self._document = document
        _clear_stale(path)
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        mask = os.umask(0o177)
        try:
            self.sock.bind(path)
            self.sock.listen(MAX_READERS)
        except OSError as error:
            self.sock.close()
            raise PlatformError(f"cannot open the status socket {path}: {error.strerror or error}") from None
        finally:
            os.umask(mask)
        self.sock.setblocking(False)
        self.readers = Readers(self.sock, self._answer, backoff)

    def _answer(self, poller: Poller, reader: socket.socket, now: float) -> None:
        self.readers.send(poller, reader, self._document(now))

    def close(self) -> None:
        """Stop listening, and remove the socket file."""
        self.readers.close()
        with contextlib.suppress(OSError):
            os.unlink(self.path)


def _clear_stale(path: str) -> None:
    """Remove the socket file of a relay that died. Raises PlatformError if it belongs to a live relay, or is another
    file."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return
    if not stat.S_ISSOCK(mode):
        raise PlatformError(f"cannot open the status socket {path}: another file is there")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1)
        try:
            probe.connect(path)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(path)
            return
    raise PlatformError(f"cannot open the status socket {path}: another relay answers there")
