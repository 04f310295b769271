"""A host's device agent: a client of the REST interface with a token of its own (role device)."""

import http.client
import json
import subprocess
import sys
from typing import Any, NamedTuple

from topologies.kit.controller import Controller
from topologies.kit.processes import REPOSITORY, LabError

TIMEOUT_S = 10.0


class Answer(NamedTuple):
    """`body` is JSON, also of an error (RFC 9457)."""

    status: int
    body: Any
    etag: str | None


class Device:
    """The agent of one subscriber, whose id is the name of the token. Raises LabError if no token is made."""

    def __init__(self, controller: Controller, subscriber: str) -> None:
        self._host, self._port = controller.url.removeprefix("http://").split(":")
        command = [sys.executable, "-m", "steering", "token", "add", "--role", "device", "--name", subscriber]
        command += ["--json", "--state-dir", str(controller.state_dir)]
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
        if done.returncode:
            raise LabError(f"no token for {subscriber}: {done.stderr.strip()}")
        self._token = json.loads(done.stdout)["token"]

    def ask(self, method: str, path: str, body: Any = None, etag: str | None = None) -> Answer:
        """Send one request below /v1; the answer, whatever its status."""
        headers = {"Authorization": f"Bearer {self._token}"}
        if etag is not None:
            headers["If-Match"] = etag
        data = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = json.dumps(body).encode()
        connection = http.client.HTTPConnection(self._host, int(self._port), timeout=TIMEOUT_S)
        try:
            connection.request(method, f"/v1{path}", body=data, headers=headers)
            got = connection.getresponse()
            return Answer(got.status, json.loads(got.read()), got.getheader("ETag"))
        except OSError as error:
            raise LabError(f"{method} {path}: {error}") from None
        finally:
            connection.close()
