"""The identities of bearer tokens: the first token, and the tokens in the state directory's file (steering.store.tokens)."""

import hmac
import logging
import os
from collections.abc import Callable
from pathlib import Path
from time import time
from typing import Protocol

from steering.model.identity import Identity, Role
from steering.store.interface import StateError
from steering.store.state_directory import StateDirectory
from steering.store.token_uses import TokenUses
from steering.store.tokens import FIRST, TOKENS_FILE, TokenRecord, digest, listed

MIN_TOKEN = 32

log = logging.getLogger(__name__)


class TokenExpired(Exception):
    """The token was valid until `expires`, seconds since 1970. Only a client that shows the token is told so."""

    def __init__(self, identity: Identity, expires: int) -> None:
        super().__init__(identity.id)
        self.identity = identity
        self.expires = expires


class Keyring(Protocol):
    def identify(self, token: str) -> Identity | None:
        """The identity that a token belongs to; None for an unknown token. Raises TokenExpired."""


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
    """A keyring of the first token and of the state directory's file of tokens. The file is read again after each change.
    `clock`: seconds since 1970; it dates a token's last use and decides whether a token has expired."""

    def __init__(self, state_dir: Path, first: str, clock: Callable[[], float] = time) -> None:
        self._clock = clock
        self._uses = TokenUses(StateDirectory(state_dir))
        self._first = FirstToken(first)
        self._state_dir = state_dir
        self._seen: tuple[int, ...] | None = None
        self._known: dict[str, TokenRecord] = {}

    def identify(self, token: str) -> Identity | None:
        now = self._clock()
        found = self._first.identify(token)
        if found is None:
            self._read_again()
            # The digest is looked up, not the secret: the time of the look-up tells nothing about the secret.
            record = self._known.get(digest(token))
            if record is None:
                return None
            found = record.identity
            if record.expires is not None and record.is_over(now):
                raise TokenExpired(found, record.expires)
        self._uses.note(found.id, now)
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
            self._known = {record.sha256: record for record in listed(self._state_dir)}
        except StateError as error:
            log.error("no token but the first is taken: %s", error)
