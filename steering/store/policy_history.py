"""The versions of the policy that were applied, in `policies/` of the state directory.

Each version is one file, `<number>.json`, that is written whole or not at all; a number is never used twice,
the highest is the policy in force. Only the last KEPT stay. The directory is its owner's alone: a policy may
name subscribers.
"""

import hashlib
import json
import os
import re
import tempfile
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

KEPT = 100
MAX_TEXT = 4 << 20  # characters
MAX_FILE = 8 * MAX_TEXT  # bytes; JSON may spell a character with several
YEAR_3000 = 32_503_680_000.0
MAX_WORDS = 200  # characters of `who` and `comment`

_FILE = re.compile(r"([1-9][0-9]{0,8})\.json", re.ASCII)


class HistoryError(Exception):
    """There is no such version, it is damaged, or it cannot be written; one line."""


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
        """{"version", "time" (RFC 3339, UTC), "who", "comment", "digest"}: as listings show it, without the text."""
        moment = datetime.fromtimestamp(self.when, UTC).isoformat(timespec="seconds")
        return {
            "version": self.version,
            "time": moment,
            "who": self.who,
            "comment": self.comment,
            "digest": self.sha256,
        }


class History:
    """The store; every function reads the directory anew, so processes may share it."""

    def __init__(self, state_dir: str | Path) -> None:
        self._folder = Path(state_dir) / "policies"

    def numbers(self) -> list[int]:
        """The numbers of the kept versions, the newest first."""
        try:
            names = os.listdir(self._folder)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise HistoryError(f"{self._folder} cannot be read: {error.strerror}") from None
        return sorted((int(m[1]) for name in names if (m := _FILE.fullmatch(name))), reverse=True)

    def versions(self) -> list[Version]:
        """The kept versions that can be read, the newest first."""
        found = []
        for number in self.numbers():
            try:
                found.append(self.read(number))
            except HistoryError:
                continue  # `read` says of a damaged one what is wrong
        return found

    def current(self) -> Version | None:
        """The version in force, None before the first. Raises HistoryError when it is damaged."""
        numbers = self.numbers()
        return self.read(numbers[0]) if numbers else None

    def read(self, number: int) -> Version:
        """One version. Raises HistoryError when there is none or when it is not as it was written."""
        path = self._path(number)
        try:
            with path.open("rb") as file:
                raw = file.read(MAX_FILE + 1)
        except FileNotFoundError:
            raise HistoryError(f"there is no version {number} of the policy") from None
        except OSError as error:
            raise HistoryError(f"{path} cannot be read: {error.strerror}") from None
        try:
            version = Version(**json.loads(raw))
            whole = version.version == number and version.sha256 == _digest(version.text)
            whole = whole and isinstance(version.when, int | float) and 0 <= version.when < YEAR_3000
            whole = whole and isinstance(version.who, str) and isinstance(version.comment, str)
        except (ValueError, TypeError, AttributeError, RecursionError):
            whole = False
        if not whole:
            raise HistoryError(f"version {number} of the policy is damaged: {path}")
        return version

    def apply(self, text: str, who: str, now: float, comment: str = "") -> Version:
        """Make `text` the version in force; the same text again stays the version it is.

        The caller has checked the text. Raises HistoryError when it cannot be written.
        """
        if len(text) > MAX_TEXT:
            raise HistoryError(f"a policy of more than {MAX_TEXT} characters is not kept")
        numbers = self.numbers()
        if numbers:
            try:
                newest = self.read(numbers[0])
            except HistoryError:
                pass  # a damaged one is no reason against a good one
            else:
                if newest.text == text:
                    return newest
        number = numbers[0] + 1 if numbers else 1
        version = Version(number, _digest(text), now, _short(who), _short(comment), text)
        self._write(version)
        for old in numbers[KEPT - 1 :]:
            self._path(old).unlink(missing_ok=True)
        return version

    def rollback(self, number: int, who: str, now: float) -> Version:
        """Make the text of an earlier version the newest one. Raises HistoryError as `read` and `apply` do."""
        return self.apply(self.read(number).text, who, now, f"rolled back to version {number}")

    def _path(self, number: int) -> Path:
        return self._folder / f"{number}.json"

    def _write(self, version: Version) -> None:
        """Whole or not at all; a number that another process took meanwhile is refused, not overwritten."""
        name = None
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor, name = tempfile.mkstemp(dir=self._folder, prefix=".new-")
            with open(descriptor, "w", encoding="utf-8") as file:
                json.dump(asdict(version), file)
                file.flush()
                os.fsync(file.fileno())
            os.link(name, self._path(version.version))
            folder = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except FileExistsError:
            raise HistoryError(
                f"version {version.version} was written by another process meanwhile"
            ) from None
        except OSError as error:
            raise HistoryError(f"{self._folder} cannot be written: {error.strerror}") from None
        finally:
            if name is not None:
                Path(name).unlink(missing_ok=True)


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _short(text: str) -> str:
    """Words for a listing: bounded, on one line."""
    return "".join(c if c.isprintable() else " " for c in text)[:MAX_WORDS]
