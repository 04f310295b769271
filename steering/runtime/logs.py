"""Logging: lines for people, or one JSON object a line for programs; both on stderr, never a key or a token.

A key cannot get into a log line because nothing logs a frame, a Handshake or a credential; the formatters do
not filter.
"""

import json
import logging
import sys
from datetime import UTC, datetime

# os-ken logs every event at debug, and every start of an application at info.
QUIET = ("os_ken", "eventlet", "ofp_event", "routes")


class JsonFormatter(logging.Formatter):
    """{"time": RFC 3339, "level", "logger", "message"}, and "exception" where there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line)


def set_up(level: str, as_json: bool) -> None:
    """Make the root logger write to stderr from `level` on."""
    handler = logging.StreamHandler(sys.stderr)
    if as_json:
        handler.setFormatter(JsonFormatter())
    else:
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s"))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level.upper())
    for name in QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
