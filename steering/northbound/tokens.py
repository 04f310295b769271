"""Bearer tokens and their roles: `tokens.json` in the state directory holds hashes, never a token.

A token is 256 random bits, so one round of SHA-256 is enough: there is nothing to guess. The command line
edits the file, the running controller reads it again when it changed. A file that cannot be used is no
token at all: what was revoked must not come back because a file broke.
"""

import fcntl
import hashlib
import hmac
import json
import logging
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from steering.northbound.credentials import (
    TOKEN_BYTES,
    CredentialError,
    prepare,
    read_private,
    replace_file,
)

TOKENS_FILE = "tokens.json"
LOCK_FILE = "tokens.lock"
FIRST = "first"  # id of the token made at the first start
MAX_FILE = 1 << 20
MAX_TOKENS = 2_048
MIN_TOKEN = 32

_ID = re.compile(r"[0-9a-f]{8}", re.ASCII)
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9_.@-]{1,64}", re.ASCII)

log = logging.getLogger(__name__)


class Role(StrEnum):
    READER = "reader"  # sees, but not the policy's text
    OPERATOR = "operator"  # everything
    MCP = "mcp"  # one MCP: reports its own load, hears its own events
    DEVICE = "device"  # a host or CPE: health and the list of MCPs (N-7.3b)


class Identity(NamedTuple):
    """Who a token is. `id` is what logs say; `mcp` the MCP that a token of role mcp is bound to."""

    id: str
    role: Role
    name: str = ""
    mcp: str = ""


class Record(NamedTuple):
    """One line of the file. `created` is RFC 3339 text."""

    identity: Identity
    sha256: str
    created: str


class Keyring(Protocol):
    def identify(self, token: str) -> Identity | None:
        """Who presents `token`; None for nobody."""


class FirstToken:
    """A keyring of one token, the operator's."""

    def __init__(self, token: str) -> None:
        if len(token) < MIN_TOKEN:
            raise ValueError(f"a bearer token of at least {MIN_TOKEN} characters is needed")
        self._digest = digest(token)

    def identify(self, token: str) -> Identity | None:
        if hmac.compare_digest(digest(token), self._digest):
            return Identity(FIRST, Role.OPERATOR, FIRST)
        return None


class TokenFile:
    """The first token and those of the state directory's file, read again whenever it changed."""

    def __init__(self, state_dir: Path, first: str) -> None:
        self._first = FirstToken(first)
        self._state_dir = state_dir
        self._seen: tuple[int, ...] | None = None
        self._known: dict[str, Identity] = {}

    def identify(self, token: str) -> Identity | None:
        found = self._first.identify(token)
        if found is None:
            self._read_again()
            # A hash of the secret is looked up: how long that takes tells nothing of the secret.
            found = self._known.get(digest(token))
        return found

    def _read_again(self) -> None:
        try:
            status = os.lstat(self._state_dir / TOKENS_FILE)
            now: tuple[int, ...] | None = (status.st_mtime_ns, status.st_ino, status.st_size, status.st_mode)
        except OSError:
            now = None
        if now == self._seen:
            return
        self._seen, self._known = now, {}
        try:
            self._known = {record.sha256: record.identity for record in listed(self._state_dir)}
        except CredentialError as error:
            log.error("no token but the first is taken: %s", error)


def digest(token: str) -> str:
    """Equal lengths whatever the token's, so that comparing does not tell it."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def listed(state_dir: Path) -> list[Record]:
    """The records of the file, none where there is no file. Raises CredentialError for one that is unsafe
    or not ours."""
    path = state_dir / TOKENS_FILE
    try:
        text = read_private(path, MAX_FILE)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise CredentialError(f"cannot read {path}: {error.strerror}") from None
    try:
        return [_record(one) for one in json.loads(text)["tokens"]]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise CredentialError(
            f"{path} is not a file of tokens: restore it, or remove it to begin anew"
        ) from None


def add(state_dir: Path, role: Role, name: str, mcp: str, created: str) -> tuple[str, str]:
    """A new token: its id, and the token itself, which is kept nowhere.

    Raises ValueError for a name that cannot be one or an MCP where the role has none (or lacks one),
    CredentialError for an unusable state directory.
    """
    for word in filter(None, (name, mcp)):
        if not _NAME.fullmatch(word):
            raise ValueError(f"{word!r} is no name: letters, digits, '_', '.', '-', '@', 64 at most")
    if (role is Role.MCP) != bool(mcp):
        raise ValueError("a token of role mcp names its MCP" if not mcp else "only role mcp names an MCP")
    token = secrets.token_urlsafe(TOKEN_BYTES)
    with _changing(state_dir) as records:
        if len(records) >= MAX_TOKENS:
            raise CredentialError(f"{MAX_TOKENS} tokens are there already: revoke some")
        number = _unused({record.identity.id for record in records})
        records.append(Record(Identity(number, role, name, mcp), digest(token), created))
    return number, token


def revoke(state_dir: Path, number: str) -> bool:
    """Take a token back; False when there is none with that id. Raises CredentialError."""
    with _changing(state_dir) as records:
        left = [record for record in records if record.identity.id != number]
        found = len(left) < len(records)
        records[:] = left
    return found


def _unused(taken: set[str]) -> str:
    number = secrets.token_hex(4)
    while number in taken:
        number = secrets.token_hex(4)
    return number


@contextmanager
def _changing(state_dir: Path) -> Iterator[list[Record]]:
    """The records, written back at the end; two commands at once do not undo each other."""
    prepare(state_dir)
    flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        lock = os.open(state_dir / LOCK_FILE, flags, 0o600)
    except OSError as error:
        raise CredentialError(f"cannot lock {state_dir / LOCK_FILE}: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        records = listed(state_dir)
        before = list(records)
        yield records
        if records != before:
            told = {"tokens": [_told(record) for record in records]}
            replace_file(state_dir, TOKENS_FILE, json.dumps(told, indent=1))
    finally:
        os.close(lock)


def _told(record: Record) -> dict[str, str]:
    identity = record.identity
    return {
        "id": identity.id,
        "role": identity.role.value,
        "name": identity.name,
        "mcp": identity.mcp,
        "sha256": record.sha256,
        "created": record.created,
    }


def _record(told: dict[str, Any]) -> Record:
    """Raises ValueError, KeyError or TypeError for what is no record."""
    number, name, mcp, sha256 = told["id"], told["name"], told["mcp"], told["sha256"]
    role = Role(told["role"])
    if not (_ID.fullmatch(number) and _HASH.fullmatch(sha256) and all(map(_is_word, (name, mcp)))):
        raise ValueError(number)
    if (role is Role.MCP) != bool(mcp):
        raise ValueError(number)
    return Record(Identity(number, role, name, mcp), sha256, str(told["created"]))


def _is_word(word: str) -> bool:
    return word == "" or bool(_NAME.fullmatch(word))
