"""Logging: lines for people, or one JSON object a line for programs; both on stderr, never a key or a token.

Times are UTC and say so. Under systemd's journal, which keeps the time itself, a line begins with its priority instead
(sd-daemon(3)).

A key cannot get into a log line because nothing logs a frame, a Handshake or a credential; the formatters do
not filter.
"""

import json
import logging
import os
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TextIO

# os-ken logs every event at debug, and every start of an application at info.
QUIET = ("os_ken", "eventlet", "ofp_event", "routes")


class JsonFormatter(logging.Formatter):
    """{"time": RFC 3339, "level", "logger", "message"}, and "exception" where there is one. `controller`: the name of one of
    several controllers that write to one log, "" for one alone."""

    def __init__(self, controller: str = "") -> None:
        super().__init__()
        self._controller = {"controller": controller} if controller else {}

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **self._controller,
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


class PlainFormatter(logging.Formatter):
    """`2026-11-29T18:30:00.123Z INFO    steering.x: message`; with the name of one of several controllers before `steering.x`."""

    converter = staticmethod(time.gmtime)
    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03dZ"

    def __init__(self, controller: str = "") -> None:
        super().__init__(f"%(asctime)s %(levelname)-7s {_before(controller)}%(name)s: %(message)s")


class JournalFormatter(logging.Formatter):
    """`<6>steering.x: message`; each line of a traceback gets the priority, as the journal takes lines apart."""

    def __init__(self, controller: str = "") -> None:
        super().__init__(f"{_before(controller)}%(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        priority = next(number for level, number in _PRIORITIES if record.levelno >= level)
        return "\n".join(f"<{priority}>{line}" for line in super().format(record).split("\n"))


# syslog's: error, warning, informational, debug
_PRIORITIES = ((logging.ERROR, 3), (logging.WARNING, 4), (logging.INFO, 6), (logging.NOTSET, 7))


def goes_to_journal(stream: TextIO, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether a stream is the one that systemd connected to the journal (JOURNAL_STREAM in systemd.exec(5))."""
    try:
        status = os.fstat(stream.fileno())
    except (OSError, ValueError):
        return False
    return environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def _before(controller: str) -> str:
    """What stands before the logger's name, safe for a format."""
    return f"{controller.replace('%', '%%')} " if controller else ""


def set_up(level: str, as_json: bool, controller: str = "") -> None:
    """Make the root logger write to stderr from `level` on. `controller`: the name that every line has, "" for none."""
    handler = logging.StreamHandler(sys.stderr)
    if as_json:
        handler.setFormatter(JsonFormatter(controller))
    elif goes_to_journal(sys.stderr):
        handler.setFormatter(JournalFormatter(controller))
    else:
        handler.setFormatter(PlainFormatter(controller))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
