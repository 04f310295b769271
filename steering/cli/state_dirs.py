"""Which state directory commands ask in, and how the small files in it are read."""

import os
import socket
import stat
from pathlib import Path
from urllib.parse import urlsplit

TOKEN_FILE = "token"
REST_FILE = "rest"
ROOTS = Path("/run/steering")  # the state directory of a controller that root starts by hand
SERVICES = Path("/var/lib/steering")  # that of steering.service
MAX_FILE = 4_096
ANSWERS_WITHIN = 1.0  # seconds for a connection on this machine
_PORTS = {"http": 80, "https": 443}


class IrregularFileError(OSError):
    """It is a FIFO, a device or a directory, and not a file that can be read."""


def default_state_dir() -> Path:
    """The state directory that `steering run` uses by default; for root that of steering.service too."""
    if os.geteuid() == 0:
        return state_dir_of_root(ROOTS, SERVICES)
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return Path(runtime) / "steering" if runtime else Path.home() / ".local" / "state" / "steering"


def state_dir_of_root(own: Path, service: Path) -> Path:
    """Of two state directories the one in which a controller runs, else the one that exists, else `own`. `own` goes first."""
    places = [own, service]
    named = [place for place in places if (place / REST_FILE).exists()]
    if len(named) > 1:
        # A controller that was killed leaves its file.
        urls = {place: _url(place) for place in named}
        alive = [place for place in named if _answers(urls[place])]
        if len(alive) > 1 and urls[own] == urls[service]:
            # The default port is the same for both, and who wrote the address last has it.
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
    """What the controller of a state directory wrote as its address; "" where that cannot be read."""
    try:
        return text_of(place / REST_FILE)
    except OSError:
        return ""


def _answers(url: str) -> bool:
    """Whether somebody takes connections at a URL. A controller that is too busy to take one is there."""
    try:
        parts = urlsplit(url)
        port = parts.port or _PORTS[parts.scheme]
        with socket.create_connection((parts.hostname or "", port), ANSWERS_WITHIN):
            return True
    except TimeoutError:
        return True
    except (OSError, ValueError, KeyError):
        return False
