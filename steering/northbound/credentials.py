"""Secrets and the REST address in the state directory: made once, mode 0600, never shown.

`token` the operator's first bearer token; `tokens.json` hashes of the others (steering.northbound.tokens);
`lldp.key` HMAC key of discovery; `pseudonym.key` HMAC key of the names that subscribers are shown by;
`rest` URL of the running northbound. The client commands find `rest` and `token` there by themselves.
"""

import os
import re
import secrets
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

TOKEN_FILE = "token"
LLDP_KEY_FILE = "lldp.key"
PSEUDONYM_KEY_FILE = "pseudonym.key"
REST_FILE = "rest"
MAX_SIZE = 4_096
MAX_KEPT = 16_777_216
TOKEN_BYTES = 32
KEY_BYTES = 32

_TOKEN = re.compile(r"[A-Za-z0-9_-]{43,512}", re.ASCII)
_KEY = re.compile(rf"[0-9a-f]{{{KEY_BYTES * 2}}}", re.ASCII)


class CredentialError(Exception):
    """A state directory or secret that may not be used; the message is one line that says what to do."""


def default_state_dir() -> Path:
    """/run/steering for root, else steering in XDG_RUNTIME_DIR, else in the user's state directory."""
    if os.geteuid() == 0:
        return Path("/run/steering")
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    return Path(runtime) / "steering" if runtime else Path.home() / ".local" / "state" / "steering"


def bearer_token(state_dir: Path) -> str:
    """The northbound's token, 256 bits in URL-safe base64; made when there is none.

    Raises CredentialError for an unsafe directory or file.
    """
    text = _secret(state_dir, TOKEN_FILE, lambda: secrets.token_urlsafe(TOKEN_BYTES))
    if not _TOKEN.fullmatch(text):
        raise CredentialError(f"{state_dir / TOKEN_FILE} holds no token: remove it, and a new one is made")
    return text


def lldp_key(state_dir: Path) -> bytes:
    """The key that authenticates discovery, KEY_BYTES bytes (hex in its file); made when there is none.

    Raises CredentialError for an unsafe directory or file.
    """
    return _key(state_dir, LLDP_KEY_FILE)


def pseudonym_key(state_dir: Path) -> bytes:
    """The key behind subscribers' pseudonyms (N-7.1), as `lldp_key`."""
    return _key(state_dir, PSEUDONYM_KEY_FILE)


def _key(state_dir: Path, name: str) -> bytes:
    text = _secret(state_dir, name, lambda: secrets.token_hex(KEY_BYTES))
    if not _KEY.fullmatch(text):
        raise CredentialError(
            f"{state_dir / name} holds no key of {KEY_BYTES} bytes in hex: remove it, and a new one is made"
        )
    return bytes.fromhex(text)


def write_rest_url(state_dir: Path, url: str) -> None:
    """Say where the northbound listens; replaces what an earlier controller said."""
    replace_file(state_dir, REST_FILE, url)


def replace_file(state_dir: Path, name: str, text: str) -> None:
    """Put a private file in place whole, or leave what was there. Raises CredentialError."""
    prepare(state_dir)
    try:
        os.replace(_write_fresh(state_dir, text), state_dir / name)
    except OSError as error:
        raise CredentialError(f"cannot write {state_dir / name}: {error.strerror}") from None


class StateDirectory:
    """Private files by name, for what has to outlive a controller."""

    def __init__(self, state_dir: Path) -> None:
        self._state_dir = state_dir

    def load(self, name: str) -> str | None:
        """A file's text, None where there is none; raises CredentialError for one that others may read."""
        try:
            return read_private(self._state_dir / name, MAX_KEPT)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise CredentialError(f"cannot read {self._state_dir / name}: {error.strerror}") from None

    def save(self, name: str, text: str) -> None:
        """Put a file in place whole. Raises CredentialError."""
        replace_file(self._state_dir, name, text)


def remove_rest_url(state_dir: Path, url: str) -> None:
    """Take `url` back at the end; another controller's stays."""
    path = state_dir / REST_FILE
    with suppress(OSError, UnicodeDecodeError):
        if path.read_text().strip() == url:
            path.unlink()


def _secret(state_dir: Path, name: str, make: Callable[[], str]) -> str:
    prepare(state_dir)
    path = state_dir / name
    try:
        if not os.path.lexists(path):
            fresh = _write_fresh(state_dir, make())
            try:
                # A link is made whole or not at all: of two starting controllers both read the winner's.
                with suppress(FileExistsError):
                    os.link(fresh, path)
            finally:
                fresh.unlink()
        return read_private(path)
    except OSError as error:
        raise CredentialError(f"cannot use {path}: {error.strerror}") from None


def prepare(state_dir: Path) -> None:
    """Make the state directory, or see that it is ours alone to write. Raises CredentialError."""
    try:
        state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = state_dir.stat()
    except OSError as error:
        raise CredentialError(f"cannot make the state directory {state_dir}: {error.strerror}") from None
    if status.st_uid not in (0, os.geteuid()):
        raise CredentialError(
            f"the state directory {state_dir} is another user's: choose another --state-dir"
        )
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        raise CredentialError(
            f"the state directory {state_dir} may be written by others: chmod 700 it or choose another --state-dir"
        )


def _write_fresh(state_dir: Path, text: str) -> Path:
    """A new private file with `text`, under a name nobody else has."""
    path = state_dir / f".{secrets.token_hex(8)}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o600), "w", encoding="ascii") as file:
        file.write(text + "\n")
    return path


def read_private(path: Path, most: int = MAX_SIZE) -> str:
    """A secret's text, "" for more than `most` bytes or what is not ASCII; refuses (CredentialError) links,
    devices, files of others and files others may read. Raises OSError where there is none."""
    if path.is_symlink():
        raise CredentialError(f"{path} is a symbolic link: remove it, and a new file is made")
    # O_NONBLOCK: a FIFO in the place of the file would hold up the start for ever.
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise CredentialError(f"{path} is no regular file: remove it, and a new one is made")
        if status.st_uid not in (0, os.geteuid()):
            raise CredentialError(f"{path} is another user's: remove it, and a new one is made")
        if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
            mode = stat.S_IMODE(status.st_mode)
            raise CredentialError(
                f"{path} is open to others (mode {mode:04o}): remove it, and a new one of mode 0600 is made"
            )
        data = file.read(most + 1)
    try:
        return data.decode("ascii").strip() if len(data) <= most else ""
    except UnicodeDecodeError:
        return ""
