"""A FreeRADIUS server of the lab, on loopback. It accepts the users of a file and rejects all others."""

import os
import re
from collections.abc import Sequence
from pathlib import Path

from topologies.kit.processes import StartedProcess
from topologies.kit.records import Record

SECRET = "secret-of-the-lab"

# This uses nothing of Debian's configuration: one listener, one client, one file of users, one log line for each
# request. Before version 3.2.5 a server signs its answers only when it is configured to (CVE-2024-3596).
CONFIG = """
prefix = {dir}
logdir = {dir}
run_dir = {dir}
pidfile = {dir}/radiusd.pid
libdir = {libdir}
log {{
    destination = stdout
}}
security {{
    reject_delay = 0
    status_server = no
}}
client loopback {{
    ipaddr = 127.0.0.1
    secret = {secret}
    require_message_authenticator = yes
}}
thread pool {{
    start_servers = 1
    max_servers = 4
    min_spare_servers = 1
    max_spare_servers = 2
}}
modules {{
    files {{
        filename = {dir}/users
    }}
    always reject {{
        rcode = reject
    }}
    linelog {{
        filename = {dir}/requests.log
        format = "%{{User-Name}} %{{Framed-IP-Address}} %{{NAS-Identifier}} %{{Calling-Station-Id}} %{{NAS-Port-Id}}"
    }}
}}
server default {{
    listen {{
        type = auth
        ipaddr = 127.0.0.1
        port = {port}
    }}
    authorize {{
        linelog
        files
        if (notfound || noop) {{
            reject
        }}
    }}
    authenticate {{
    }}
    post-auth {{
        update reply {{
            Message-Authenticator := 0x00
        }}
        Post-Auth-Type REJECT {{
            update reply {{
                Message-Authenticator := 0x00
            }}
        }}
    }}
}}
"""
_USER = '"{}" Auth-Type := Accept\n    Session-Timeout = 600\n\n'


class RadiusServer:
    """A server on `port`, which the constructor starts."""

    def __init__(self, record: Record, port: int, accepted: Sequence[str]) -> None:
        self._dir = record.directory / "radius"
        self._dir.mkdir(mode=0o700)
        self.secret_file = write_secret(record.directory)
        (self._dir / "users").write_text("".join(map(_USER.format, accepted)))
        text = CONFIG.format(dir=self._dir, port=port, secret=SECRET, libdir=_libraries())
        (self._dir / "radiusd.conf").write_text(text)
        (self._dir / "radiusd.conf").chmod(0o640)
        dictionary = self._dir / "dictionary"
        dictionary.write_text("$INCLUDE /usr/share/freeradius/dictionary\n")
        command = ["freeradius", "-f", "-l", "stdout", "-d", str(self._dir), "-n", "radiusd"]
        self._running = StartedProcess(record, "freeradius", command)
        self._running.wait_for(self._ready, 10, "FreeRADIUS is not ready")

    def _ready(self) -> bool:
        return "Ready to process requests" in self._running.log.read_text(errors="replace")

    @property
    def requests(self) -> list[list[str]]:
        """Each request's User-Name, Framed-IP-Address, NAS-Identifier, Calling-Station-Id and NAS-Port-Id."""
        log = self._dir / "requests.log"
        return [line.split() for line in log.read_text().splitlines()] if log.exists() else []

    def stop(self) -> None:
        """End the server."""
        self._running.end()


def write_secret(directory: Path) -> Path:
    """Write a file with the shared secret, for both sides; its path."""
    path = directory / "radius.secret"
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(SECRET)
    return path


def _libraries() -> str:
    """The directory in which Debian puts FreeRADIUS's modules."""
    found = re.search(r"^libdir = (\S+)", Path("/etc/freeradius/3.0/radiusd.conf").read_text(), re.M)
    return found[1] if found else "/usr/lib/freeradius"
