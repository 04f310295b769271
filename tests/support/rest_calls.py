"""Requests to a running controller's REST interface, and the certificates it may be asked with."""

import http.client
import json
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
