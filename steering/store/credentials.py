"""Secrets and the REST address in the state directory. Secrets are made once, have mode 0600, and are never shown.

`token` is the operator's first bearer token, `tokens.json` has hashes of the others (steering.store.tokens), `lldp.key` is the
HMAC key of link discovery, `pseudonym.key` the HMAC key of subscribers' pseudonyms, `rest` the URL of the running northbound.
The client commands find `rest` and `token` there by themselves.
"""

import os
import re
import secrets
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from steering.store.interface import StateError, StateRefusal
from steering.store.private_file import read_private
from steering.store.state_directory import StateDirectory, prepare

TOKEN_FILE = "token"
LLDP_KEY_FILE = "lldp.key"
PSEUDONYM_KEY_FILE = "pseudonym.key"
REST_FILE = "rest"
TOKEN_BYTES = 32
KEY_BYTES = 32

_TOKEN = re.compile(r"[A-Za-z0-9_-]{43,512}", re.ASCII)
_KEY = re.compile(rf"[0-9a-f]{{{KEY_BYTES * 2}}}", re.ASCII)


def bearer_token(state_dir: Path) -> str:
    """The operator's first token, 256 bits in URL-safe base64. It is made when there is none.

    Raises StateError for an unsafe directory or file.
    """
    text = _secret(state_dir, TOKEN_FILE, lambda: secrets.token_urlsafe(TOKEN_BYTES))
    if not _TOKEN.fullmatch(text):
        raise StateError(
            StateRefusal.DAMAGED, f"{state_dir / TOKEN_FILE} holds no token: remove it, and a new one is made"
        )
    return text


def lldp_key(state_dir: Path) -> bytes:
    """The key that authenticates discovery's LLDP frames, KEY_BYTES bytes (hex in its file). It is made when there is none.

    Raises StateError for an unsafe directory or file.
    """
    return _key(state_dir, LLDP_KEY_FILE)


def pseudonym_key(state_dir: Path) -> bytes:
    """The key behind subscribers' pseudonyms (N-7.1), as `lldp_key`."""
    return _key(state_dir, PSEUDONYM_KEY_FILE)


def _key(state_dir: Path, name: str) -> bytes:
    text = _secret(state_dir, name, lambda: secrets.token_hex(KEY_BYTES))
    if not _KEY.fullmatch(text):
        raise StateError(
            StateRefusal.DAMAGED,
            f"{state_dir / name} holds no key of {KEY_BYTES} bytes in hex: remove it, and a new one is made",
        )
    return bytes.fromhex(text)


def _secret(state_dir: Path, name: str, make: Callable[[], str]) -> str:
    """A secret that is made where there is none. Raises StateError."""
    prepare(state_dir)
    path = state_dir / name
    if not os.path.lexists(path):
        StateDirectory(state_dir).create(name, make())
    try:
        return read_private(path)
    except FileNotFoundError:
        raise StateError(StateRefusal.INPUT_OUTPUT, f"cannot use {path}: it went away, start again") from None


def write_rest_url(state_dir: Path, url: str) -> None:
    """Write the URL at which the northbound listens, in place of an earlier controller's. Raises StateError."""
    StateDirectory(state_dir).write(REST_FILE, url)


def remove_rest_url(state_dir: Path, url: str) -> None:
    """Remove the file `rest` if it still holds `url`, and not another controller's. Never raises, as the controller is
    ending."""
    with suppress(OSError, StateError):
        if read_private(state_dir / REST_FILE) == url:
            (state_dir / REST_FILE).unlink()
