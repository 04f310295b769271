"""Programs of Debian on a lab's network: the files that servers serve, and the command line of each client.

Everything they need (keys, certificate, files, a repository) is made in the lab's directory and is removed with it.
"""

import hashlib
import os
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from topologies.kit.network import LabHost
from topologies.kit.processes import LabError

SSH, HTTP, HTTPS, IPERF = 22, 80, 443, 5201
IPERF_S = 3
DOWNLOAD_S = 90
PRIVILEGE_SEPARATION = Path("/run/sshd")  # sshd refuses to start without it


@dataclass(frozen=True)
class Client:
    """A client program, the port to which it connects, and the file that it fetches (None for none) with its
    SHA-256."""

    name: str
    what: str
    command: tuple[str, ...]
    port: int
    brings: Path | None = None
    sha256: str = ""
    bytes: int = 0
    seconds: float = 40.0


def sha256(file: Path) -> str:
    """The SHA-256 of a file, which may not exist."""
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.exists() else "no file"


class Site:
    """The files, keys and configurations of all programs, in a lab's directory. Raises LabError if one cannot be
    made."""

    def __init__(
        self, directory: Path, server: str, file_bytes: int, again_bytes: int, small_bytes: int
    ) -> None:
        self.server = server
        self._here = directory / "site"
        self._www = self._here / "www"
        self._www.mkdir(parents=True)
        self._here.chmod(0o755)
        self._small = self._www / "small"
        for name, size in (("file", file_bytes), ("again", again_bytes), ("small", small_bytes)):
            (self._www / name).write_bytes(os.urandom(size))
        self._certificate, self._key = self._here / "server.pem", self._here / "server.key"
        _make(
            *(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:prime256v1",
                "-nodes",
            ),
            *("-keyout", str(self._key), "-out", str(self._certificate), "-days", "2", "-subj", "/CN=server"),
            *("-addext", f"subjectAltName=IP:{server}"),
        )
        for name in ("host", "user"):
            _make("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self._here / name))
        (self._here / "known").write_text(f"{server} {(self._here / 'host.pub').read_text()}")
        self._repository()

    def _repository(self) -> None:
        """A bare repository that a web server can serve as files."""
        work, bare = self._here / "work", self._www / "project.git"
        _make("git", "init", "-q", str(work))
        (work / "data").write_bytes(self._small.read_bytes())
        own = ("-c", "user.name=lab", "-c", "user.email=lab@example.org")
        _make("git", "-C", str(work), "add", "data")
        _make("git", "-C", str(work), *own, "commit", "-q", "-m", "data")
        _make("git", "clone", "-q", "--bare", str(work), str(bare))
        _make("git", "-C", str(bare), "repack", "-adq")
        _make("git", "-C", str(bare), "update-server-info")

    def nginx(self) -> list[str]:
        """The command of nginx: HTTP and HTTPS for the same files. It writes into the lab's directory only."""
        here, config = self._here, self._here / "nginx.conf"
        kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        temporary = "".join(f"  {kind}_temp_path {here}/{kind};\n" for kind in kinds)
        config.write_text(
            f"user root;\ndaemon off;\nworker_processes 1;\npid {here}/nginx.pid;\nerror_log stderr;\n"
            f"events {{ worker_connections 64; }}\nhttp {{\n  access_log off;\n{temporary}  server {{\n"
            f"    listen {HTTP};\n    listen {HTTPS} ssl;\n    root {self._www};\n"
            f"    ssl_certificate {self._certificate};\n    ssl_certificate_key {self._key};\n  }}\n}}\n"
        )
        return ["nginx", "-c", str(config), "-p", str(here), "-e", "stderr"]

    def sshd(self) -> list[str]:
        """The command of sshd: it lets root in by the lab's own key, and nobody else."""
        PRIVILEGE_SEPARATION.mkdir(mode=0o755, exist_ok=True)
        (self._here / "allowed").write_text((self._here / "user.pub").read_text())
        command = [
            "/usr/sbin/sshd",
            "-D",
            "-e",
            "-f",
            "/dev/null",
            "-p",
            str(SSH),
            "-h",
            str(self._here / "host"),
        ]
        settings = {
            "AuthorizedKeysFile": str(self._here / "allowed"),
            "PasswordAuthentication": "no",
            "KbdInteractiveAuthentication": "no",
            "PermitRootLogin": "prohibit-password",
            "StrictModes": "no",
            # Without PAM, sshd refuses an account with a locked password. On many machines root's password is locked.
            "UsePAM": "yes" if "root:!" in Path("/etc/shadow").read_text() else "no",
            "PidFile": "none",
            "Subsystem": "sftp internal-sftp",
        }
        return command + [word for key, value in settings.items() for word in ("-o", f"{key}={value}")]

    def iperf(self) -> list[str]:
        """The command of the iperf3 server."""
        return ["iperf3", "-s", "-p", str(IPERF)]

    def haproxy(self, port: int) -> list[str]:
        """The command of HAProxy: it takes connections to any server, and connects to that server from the client's
        own address and port (TPROXY in both directions)."""
        config = self._here / "haproxy.cfg"
        config.write_text(
            "global\n  maxconn 100\ndefaults\n  mode tcp\n  timeout connect 5s\n  timeout client 60s\n"
            f"  timeout server 60s\nlisten mcp\n  bind 0.0.0.0:{port} transparent\n"
            "  source 0.0.0.0 usesrc client\n  server origin 0.0.0.0:0\n"
        )
        return ["haproxy", "-db", "-f", str(config)]

    def install(self, host: LabHost, printing: Sequence[str]) -> None:
        """Run a command, and in a host the script that the command prints. Raises LabError."""
        script = self._here / "rules.sh"
        script.write_text(subprocess.run(printing, capture_output=True, text=True, check=True).stdout)
        said, error, status = host.pexec(f"sh {script}")
        if status:
            raise LabError(f"kernel rules: {(error or said).strip().splitlines()[-1]}")

    def download(self, name: str = "file") -> Client:
        """The client curl that fetches a file (the big one, or `again`) over TLS, and verifies the certificate."""
        to, source = self._here / "got-https", self._www / name
        to.unlink(missing_ok=True)
        command = ("curl", "-sS", "--fail", "--max-time", str(DOWNLOAD_S), "--cacert", str(self._certificate))
        return Client(
            "curl over TLS",
            "curl",
            (*command, "-o", str(to), f"https://{self.server}/{name}"),
            HTTPS,
            to,
            sha256(source),
            source.stat().st_size,
            DOWNLOAD_S,
        )

    def clients(self) -> list[Client]:
        """Every client program once, in the order in which they are run."""
        here, small, size = self._here, sha256(self._small), self._small.stat().st_size
        keys: tuple[str, ...] = (
            "-F",
            "none",
            "-i",
            str(here / "user"),
            "-o",
            f"UserKnownHostsFile={here / 'known'}",
        )
        keys += ("-o", "StrictHostKeyChecking=yes", "-o", "BatchMode=yes")
        iperf = ("iperf3", "-c", self.server, "-p", str(IPERF), "-t", str(IPERF_S))
        got, put, clone = here / "got-ssh", here / "put-scp", here / "clone"
        over_ssh = f"exec ssh {' '.join(keys)} root@{self.server} cat {self._small} > {got}"
        return [
            self.download(),
            Client("iperf3 up", "iperf3-up", iperf, IPERF),
            Client("iperf3 down", "iperf3-down", (*iperf, "-R"), IPERF),
            Client("ssh", "ssh", ("sh", "-c", over_ssh), SSH, got, small, size),
            Client(
                "scp",
                "scp",
                ("scp", "-q", *keys, str(self._small), f"root@{self.server}:{put}"),
                SSH,
                put,
                small,
                size,
            ),
            Client(
                "git clone over HTTP",
                "git",
                ("git", "clone", "-q", f"http://{self.server}/project.git", str(clone)),
                HTTP,
                clone / "data",
                small,
                size,
            ),
        ]


def _make(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise LabError(f"{command[0]}: {(done.stderr or done.stdout).strip().splitlines()[-1:]}")
