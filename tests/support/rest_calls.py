"""Requests to a running controller's REST interface, and the certificates it may be asked with."""

import http.client
import json
import socket
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from tests.support.controller_process import ROOT, Running, environment


def steering(running: Running, *words: str) -> subprocess.CompletedProcess[str]:
    """A client command against a running controller."""
    command = [sys.executable, "-m", "steering", *words, "--state-dir", str(running.state)]
    return subprocess.run(command, cwd=ROOT, env=environment(), capture_output=True, text=True, check=False)


def ask(
    running: Running,
    method: str,
    path: str,
    body: Any = None,
    token: str = "",
    context: ssl.SSLContext | None = None,
    **headers: str,
) -> http.client.HTTPResponse:
    """One request; the answer, to be read."""
    url = urlsplit((running.state / "rest").read_text().strip())
    kind: Any = http.client.HTTPSConnection if url.scheme == "https" else http.client.HTTPConnection
    more = {"context": context} if url.scheme == "https" else {}
    connection = kind("127.0.0.1", url.port, timeout=30, **more)
    sent = {"Authorization": f"Bearer {token or (running.state / 'token').read_text().strip()}"}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    if body is not None:
        sent["Content-Type"] = "application/json"
    connection.request(method, path, body=None if body is None else json.dumps(body), headers=sent)
    response: http.client.HTTPResponse = connection.getresponse()
    return response


def event_stream(running: Running, context: ssl.SSLContext | None = None) -> socket.socket:
    """A connection on which an event stream has begun."""
    url = urlsplit((running.state / "rest").read_text().strip())
    connection = socket.create_connection(("127.0.0.1", url.port or 0), timeout=30)
    if context is not None:
        connection = context.wrap_socket(connection, server_hostname="127.0.0.1")
    token = (running.state / "token").read_text().strip()
    connection.sendall(f"GET /v1/events HTTP/1.1\r\nAuthorization: Bearer {token}\r\n\r\n".encode())
    heard = b""
    while b"retry: 1000\n\n" not in heard:
        part = connection.recv(1 << 12)
        assert part, heard
        heard += part
    return connection


def has_comment(connection: socket.socket) -> bool:
    """Whether a stream that was opened by `event_stream` has been sent a comment, or has ended."""
    heard = b""
    connection.setblocking(False)
    try:
        while part := connection.recv(1 << 12):
            heard += part
    except (BlockingIOError, ssl.SSLWantReadError):
        return b"\n:\n\n" in heard
    return True


def streams_open(running: Running, context: ssl.SSLContext | None = None) -> int:
    """How many event streams the controller counts."""
    text = ask(running, "GET", "/metrics", context=context).read().decode()
    (line,) = [line for line in text.splitlines() if line.startswith("steering_event_streams ")]
    return int(float(line.split()[1]))


def certificates(folder: Path, *more: str) -> None:
    """A CA, a certificate of the server, one of a client, those of `more` names, and a stranger's."""
    key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
    for name in ("ca", "stranger"):
        openssl(
            folder,
            "req",
            "-x509",
            *key,
            "-keyout",
            f"{name}.key",
            "-out",
            f"{name}.pem",
            "-subj",
            f"/CN={name}",
        )
    (folder / "san").write_text("subjectAltName=IP:127.0.0.1\n")
    of_ca = ((name, "ca") for name in ("server", "client", *more))
    for name, ca in (*of_ca, ("fake", "stranger")):
        openssl(folder, "req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl(
            folder, "x509", "-req", "-in", f"{name}.csr", "-CA", f"{ca}.pem", "-CAkey", f"{ca}.key",
            "-CAcreateserial", "-days", "2", "-extfile", "san", "-out", f"{name}.crt",
        )  # fmt: skip
        (folder / f"{name}.pem").write_text(
            (folder / f"{name}.crt").read_text() + (folder / f"{name}.key").read_text()
        )


def openssl(folder: Path, *words: str) -> None:
    subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)
