"""Bearer tokens and their roles: `tokens.json` in the state directory holds hashes, never a token.

A token has 256 random bits and cannot be guessed, so one round of SHA-256 is enough. The commands edit the file; the running
controller (steering.northbound.auth.keyring) reads it again after each change. With a file that cannot be read no token
but the first is valid: a revoked token must not become valid again because a file broke.
"""

import fcntl
import hashlib
import json
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import Any, NamedTuple

from steering.model.identity import Identity, Role
from steering.model.source import Network
from steering.store.credentials import TOKEN_BYTES
from steering.store.interface import StateError, StateRefusal
from steering.store.json_text import read_json
from steering.store.private_file import open_private
from steering.store.state_directory import StateDirectory, prepare

TOKENS_FILE = "tokens.json"
LOCK_FILE = "tokens.lock"
FIRST = "first"  # id of the token made at the first start
RESTORE = "this is not a file of tokens: restore it, or remove it to begin anew"
MAX_TOKENS = 2_048
MOST_ADDRESSES = 16  # of one token
LAST_SECOND = 253_402_300_799  # the end of the year 9999

_ID = re.compile(r"[0-9a-f]{8}", re.ASCII)
_HASH = re.compile(r"[0-9a-f]{64}", re.ASCII)
_NAME = re.compile(r"[A-Za-z0-9_.@-]{1,64}", re.ASCII)


class TokenRecord(NamedTuple):
    """A token of the file, as its hash. `created`: RFC 3339 text. `expires`: the time from which on the token is refused,
    seconds since 1970; None: never, which is also the value for files of earlier releases."""

    identity: Identity
    sha256: str
    created: str
    expires: int | None = None

    def is_over(self, now: float) -> bool:
        """Whether the token has expired at `now`, seconds since 1970."""
        return self.expires is not None and now >= self.expires


def digest(token: str) -> str:
    """SHA-256 of a token in hex. All digests have one length, so the time of comparing them tells nothing about a token."""
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()


def listed(state_dir: Path) -> list[TokenRecord]:
    """The records of the file; none where there is no file. Raises StateError for a file that others can use, or that this
    program did not write."""
    path = state_dir / TOKENS_FILE
    store = StateDirectory(state_dir)
    told = read_json(store, TOKENS_FILE, RESTORE)
    if told is None:
        return []
    try:
        records = [_record(one) for one in told["tokens"][: MAX_TOKENS + 1]]
    except (ValueError, KeyError, TypeError, AttributeError):
        raise StateError(StateRefusal.DAMAGED, f"{path} is none of ours: {RESTORE}") from None
    if len(records) > MAX_TOKENS:
        raise StateError(StateRefusal.TOO_LARGE, f"{path} has more than {MAX_TOKENS} tokens: {RESTORE}")
    return records


def add(
    state_dir: Path, role: Role, name: str, mcp: str, created: str, expires: int | None = None, addresses: Iterable[str] = ()
) -> tuple[str, str]:  # fmt: skip
    """Make a token; its id, and the token itself, which is not stored. `expires` as in TokenRecord, `addresses` as in Identity.

    Raises ValueError for a text that cannot be a name, for an MCP with another role than mcp, for role mcp without an
    MCP, and for addresses that are none, too many, or with another role than device. Raises StateError for a state directory that
    cannot be used.
    """
    for word in filter(None, (name, mcp)):
        if not _NAME.fullmatch(word):
            raise ValueError(f"{word!r} is no name: letters, digits, '_', '.', '-', '@', 64 at most")
    if (role is Role.MCP) != bool(mcp):
        raise ValueError("a token of role mcp names its MCP" if not mcp else "only role mcp names an MCP")
    own = _networks(role, list(addresses))
    token = secrets.token_urlsafe(TOKEN_BYTES)
    with _changing(state_dir) as records:
        if len(records) >= MAX_TOKENS:
            raise StateError(StateRefusal.TOO_LARGE, f"{MAX_TOKENS} tokens are there already: revoke some")
        number = _unused({record.identity.id for record in records})
        who = Identity(number, role, name, mcp, own)
        records.append(TokenRecord(who, digest(token), created, expires))
    return number, token


def revoke(state_dir: Path, number: str) -> bool:
    """Delete a token; False when there is none with that id. Raises StateError."""
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
def _changing(state_dir: Path) -> Iterator[list[TokenRecord]]:
    """The records, to be changed in place. They are written at the end. A lock keeps two commands from undoing each other's
    changes."""
    prepare(state_dir)
    lock = open_private(state_dir / LOCK_FILE, os.O_RDWR | os.O_CREAT)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        records = listed(state_dir)
        before = list(records)
        yield records
        if records != before:
            told = {"tokens": [_told(record) for record in records]}
            StateDirectory(state_dir).write(TOKENS_FILE, json.dumps(told, indent=1))
    finally:
        os.close(lock)


def _networks(role: Role, texts: list[str]) -> tuple[Network, ...]:
    """Raises ValueError."""
    if texts and role is not Role.DEVICE:
        raise ValueError("only a token of role device has addresses")
    if len(texts) > MOST_ADDRESSES:
        raise ValueError(f"a token has {MOST_ADDRESSES} addresses at most")
    return tuple(map(ip_network, texts))


def _told(record: TokenRecord) -> dict[str, Any]:
    identity = record.identity
    more: dict[str, Any] = {} if record.expires is None else {"expires": record.expires}
    if identity.addresses:
        more["addresses"] = list(map(str, identity.addresses))
    return {
        "id": identity.id,
        "role": identity.role.value,
        "name": identity.name,
        "mcp": identity.mcp,
        "sha256": record.sha256,
        "created": record.created,
    } | more


def _record(told: dict[str, Any]) -> TokenRecord:
    """A record of the file. Raises ValueError, KeyError or TypeError for what is no record."""
    number, name, mcp, sha256 = told["id"], told["name"], told["mcp"], told["sha256"]
    role = Role(told["role"])
    if not (_ID.fullmatch(number) and _HASH.fullmatch(sha256) and all(map(_is_word, (name, mcp)))):
        raise ValueError(number)
    if (role is Role.MCP) != bool(mcp):
        raise ValueError(number)
    expires = told.get("expires")
    # A bool is an int in Python. A time beyond the year 9999 could not be shown as a date.
    if expires is not None and (type(expires) is not int or not 0 <= expires <= LAST_SECOND):
        raise ValueError(number)
    texts = told.get("addresses", [])
    # A number would be taken for an address, too.
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise ValueError(number)
    who = Identity(number, role, name, mcp, _networks(role, texts))
    return TokenRecord(who, sha256, str(told["created"]), expires)


def _is_word(word: str) -> bool:
    return word == "" or bool(_NAME.fullmatch(word))
