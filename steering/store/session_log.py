"""Sessions that no entry tells of, on disk."""

from pathlib import Path

from steering.model.kept import KeptSession
from steering.store.change_log import ChangeLog
from steering.store.kept import read_session, session_line

FILE = "sessions.jsonl"


class SessionLog(ChangeLog[KeptSession]):
    """By the session's id."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory / FILE, session_line, read_session)
