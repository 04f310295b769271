"""Link discovery between three switches, for tests of it."""

from typing import Any

from steering.model.network import PortRef
from steering.openflow.discovery.link_discovery import Discovery

KEY = b"k" * 32
A, B, C, HOST_PORT = PortRef(1, 2), PortRef(2, 2), PortRef(3, 1), PortRef(1, 1)


def discovery(**timing: Any) -> Discovery:
    made = Discovery(KEY, 77, [HOST_PORT], **({"interval": 1.0} | timing))
    made.switch_up(1, {1: True, 2: True, 3: False, 0xFFFFFFFE: True}, 0.0)
    made.switch_up(2, {2: True, 3: True}, 0.0)
    made.switch_up(3, {1: True}, 0.0)
    return made


def frame_of(made: Discovery, port: PortRef, now: float) -> bytes:
    return dict(made.announcements(now))[port]
