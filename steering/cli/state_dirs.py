"""Chooses the state directory in which commands look for a controller, and reads the small files in it."""

import os
import socket
import stat
from pathlib import Path
from urllib.parse import urlsplit

TOKEN_FILE = "token"
REST_FILE = "rest"
ROOTS = Path("/run/steering")  # the state directory of a controller that root starts by hand
SERVICES = Path("/var/lib/steering")  # the state directory of steering.service
MAX_FILE = 4_096
ANSWERS_WITHIN = 1.0  # seconds for a connection on this machine
_PORTS = {"http": 80, "https": 443}


class IrregularFileError(OSError):
    """The path is a FIFO, a device or a directory, and not a regular file."""


def default_state_dir() -> Path:
    """The state directory that `steering run` uses by default. For root, it may also be that of steering.service."""
    if os.geteuid() == 0:
        return state_dir_of_root(ROOTS, SERVICES)
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return Path(runtime) / "steering" if runtime else Path.home() / ".local" / "state" / "steering"


def state_dir_of_root(own: Path, service: Path) -> Path:
    """Of two state directories the one whose controller runs, else the one that exists, else `own`. Where both have one,
    `own` is chosen."""
    places = [own, service]
    named = [place for place in places if (place / REST_FILE).exists()]
    if len(named) > 1:
        # A killed controller leaves its file, so the file alone does not show that it runs.
        urls = {place: _url(place) for place in named}
        alive = [place for place in named if _answers(urls[place])]
        if len(alive) > 1 and urls[own] == urls[service]:
            # Both controllers may have the same URL by default. Then the one that wrote its file last listens there.
            alive.sort(key=lambda place: -(place / REST_FILE).stat().st_mtime_ns)
        named = alive or named
    there = named or [place for place in places if place.exists()]
    return there[0] if there else own


def text_of(path: Path) -> str:
    """The text of a small file. Raises OSError."""
    # Without O_NONBLOCK, opening a FIFO would block for ever.
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise IrregularFileError
        return os.read(descriptor, MAX_FILE).decode("ascii", "replace").strip()
    finally:
        os.close(descriptor)


def _url(place: Path) -> str:
    """The URL that the controller of a state directory wrote; "" where that cannot be read."""
    try:
        return text_of(place / REST_FILE)
    except OSError:
        return ""


def _answers(url: str) -> bool:
    """Whether a server accepts connections at a URL. A controller that is too busy to accept one counts as running."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS[parts.scheme]
        with socket.create_connection((parts.hostname or "", port), ANSWERS_WITHIN):
            return True
    except TimeoutError:
        return True
    except (OSError, ValueError, KeyError):
        return False
