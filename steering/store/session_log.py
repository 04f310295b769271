"""Sessions on disk that the entries of switches do not describe, so that a restarted controller would not find them there."""

from pathlib import Path

from steering.model.kept import KeptSession
from steering.store.change_log import ChangeLog
from steering.store.kept import read_session, session_line

FILE = "sessions.jsonl"


class SessionLog(ChangeLog[KeptSession]):
    """The log; a record's key is the session's id."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory / FILE, session_line, read_session)
