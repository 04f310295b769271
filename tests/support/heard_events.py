"""What a stream of events holds for its listener."""

import json
from typing import Any

from steering.northbound.http.events import EventHub, Stream

EPOCH = "0badcafe"


def everything(_: object) -> bool:
    return True


def heard(hub: EventHub, stream: Stream) -> list[tuple[str, str, Any]]:
    """Id, kind and data of the events in a stream's queue."""
    told = [hub.take(stream, 0.0) or b""]
    while stream.queue:
        told.append(hub.take(stream, 0.0) or b"")
    text = b"".join(told).decode()
    found = []
    for block in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line)
        if "event" in fields:
            found.append((fields["id"], fields["event"], json.loads(fields["data"])))
    return found
