"""The versions of the policy that were applied, in the folder `policies/` of a store.

Each version is one value, `<number>.json`. A number is never used twice, and the highest is the policy in force. Only the last
KEPT versions stay. Only the owner can read the store, as a policy may name subscribers.
"""

import hashlib
import json
import re
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from steering.store.interface import StateError, StateRefusal, Store
from steering.store.json_text import decoded

FOLDER = "policies"
KEPT = 100
MAX_TEXT = 4 << 20  # characters
YEAR_3000 = 32_503_680_000.0
MAX_WORDS = 200  # characters of `who` and `comment`

_FILE = re.compile(r"([1-9][0-9]{0,8})\.json", re.ASCII)


class HistoryError(Exception):
    """A version does not exist, is damaged, or cannot be written. The text is one line."""


@dataclass(frozen=True, slots=True)
class Version:
    """One policy that was applied. `when`: seconds since 1970; `sha256`: hex, of the UTF-8 text."""

    version: int
    sha256: str
    when: float
    who: str
    comment: str
    text: str

    def as_json(self) -> dict[str, Any]:
        """{"version", "time" (RFC 3339, UTC), "who", "comment", "digest"}: the version without its text, for listings."""
        moment = datetime.fromtimestamp(self.when, UTC).isoformat(timespec="seconds")
        return {
            "version": self.version,
            "time": moment,
            "who": self.who,
            "comment": self.comment,
            "digest": self.sha256,
        }


class History:
    """The versions in a store. Every method reads the store anew, so several processes may share it."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def numbers(self) -> list[int]:
        """The numbers of the kept versions, the newest first."""
        try:
            names = self._store.names(FOLDER)
        except StateError as error:
            raise HistoryError(f"the versions of the policy cannot be used: {error}") from None
        return sorted((int(m[1]) for name in names if (m := _FILE.fullmatch(name))), reverse=True)

    def versions(self) -> list[Version]:
        """The kept versions that can be read, the newest first."""
        found = []
        for number in self.numbers():
            try:
                found.append(self.read(number))
            except HistoryError:
                continue  # damaged: `read` of this number says what is wrong
        return found

    def current(self) -> Version | None:
        """The version in force, None before the first one. Raises HistoryError when that version is damaged."""
        numbers = self.numbers()
        return self.read(numbers[0]) if numbers else None

    def read(self, number: int) -> Version:
        """One version. Raises HistoryError when it does not exist or was changed since it was written."""
        try:
            text = self._store.read(version_name(number))
        except StateError as error:
            raise _unusable(number, error) from None
        if text is None:
            raise HistoryError(f"there is no version {number} of the policy")
        return read_version(number, text)

    def apply(self, text: str, who: str, now: float, comment: str = "") -> Version:
        """Make `text` the version in force. If it already is, no new version is made.

        The caller has checked the text. Raises HistoryError when it cannot be written.
        """
        numbers = self.numbers()
        if numbers:
            try:
                newest = self.read(numbers[0])
            except HistoryError:
                pass  # the newest version is damaged: the new one replaces it
            else:
                if newest.text == text:
                    return newest
        version = drafted(numbers[0] + 1 if numbers else 1, text, who, now, comment)
        self._write(version)
        self.forget_old()
        return version

    def forget_old(self) -> None:
        """Remove the versions before the last KEPT. Never raises: one version too many does no harm."""
        with suppress(HistoryError, StateError):
            for old in self.numbers()[KEPT:]:
                self._store.remove(version_name(old))

    def rollback(self, number: int, who: str, now: float) -> Version:
        """Make the text of an earlier version the newest one. Raises HistoryError as `read` and `apply` do."""
        return self.apply(self.read(number).text, who, now, f"rolled back to version {number}")

    def _write(self, version: Version) -> None:
        """Write a version. Raises HistoryError, also where another process has used the number meanwhile."""
        try:
            made = self._store.create(version_name(version.version), version_text(version))
        except StateError as error:
            raise HistoryError(f"the versions of the policy cannot be used: {error}") from None
        if not made:
            raise HistoryError(f"version {version.version} was written by another process meanwhile")


def drafted(number: int, text: str, who: str, now: float, comment: str = "") -> Version:
    """A version that is not written yet. `now`: seconds since 1970. Raises HistoryError for a text that is too long."""
    if len(text) > MAX_TEXT:
        raise HistoryError(f"a policy of more than {MAX_TEXT} characters is not kept")
    return Version(number, digest(text), now, _short(who), _short(comment), text)


def version_name(number: int) -> str:
    """The name of a version's value in a store."""
    return f"{FOLDER}/{number}.json"


def version_text(version: Version) -> str:
    """A version as it is stored: JSON in ASCII."""
    return json.dumps(asdict(version))


def read_version(number: int, text: str) -> Version:
    """The version in a stored text. Raises HistoryError when the text is not the one that was written for this number."""
    try:
        version = Version(**decoded(version_name(number), text))
        whole = version.version == number and version.sha256 == digest(version.text)
        whole = whole and isinstance(version.when, int | float) and 0 <= version.when < YEAR_3000
        whole = whole and isinstance(version.who, str) and isinstance(version.comment, str)
    except StateError as error:
        raise _unusable(number, error) from None
    except (ValueError, TypeError, AttributeError):
        whole = False
    if not whole:
        raise HistoryError(f"version {number} of the policy is damaged: {version_name(number)}")
    return version


def digest(text: str) -> str:
    """SHA-256 of a policy's UTF-8 text, in hex."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _unusable(number: int, error: StateError) -> HistoryError:
    if error.refusal in (StateRefusal.DAMAGED, StateRefusal.TOO_DEEP, StateRefusal.NOT_TEXT):
        return HistoryError(f"version {number} of the policy is damaged: {version_name(number)}")
    return HistoryError(f"the versions of the policy cannot be used: {error}")


def _short(text: str) -> str:
    """A text cut to MAX_WORDS characters, with spaces in place of control characters, for listings."""
    return "".join(c if c.isprintable() else " " for c in text)[:MAX_WORDS]
