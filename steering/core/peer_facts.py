"""What several controllers of one site bring into the engine, and what the engine tells them (docs/design/architecture.rst).

Without `--cluster` none of these ever comes.
"""

from collections.abc import Mapping
from typing import NamedTuple

from steering.model.ids import DatapathId
from steering.wire.peer_messages import PeerMessage


class ClusterChanged(NamedTuple):
    """Who decides for which switches from now on. `me`: this controller's name; `members`: the others'. A switch that
    is not among `owners` has no controller."""

    me: str
    members: frozenset[str]
    owners: Mapping[DatapathId, str]


class PeerUp(NamedTuple):
    """Another controller can be reached: its stream is open in both ways."""

    name: str


class PeerLost(NamedTuple):
    """Another controller cannot be reached any more: its stream ended, or three heartbeats are missing."""

    name: str


class PeerTold(NamedTuple):
    """Another controller said this. Messages of one controller come in the order in which it sent them."""

    name: str
    message: PeerMessage


class TurnOver(NamedTuple):
    """The batch of messages from switches and controllers is over: tell others now what came of it."""


PeerInput = ClusterChanged | PeerUp | PeerLost | PeerTold | TurnOver


class TellPeer(NamedTuple):
    """An output: tell another controller; with an empty name, all that can be reached."""

    name: str
    message: PeerMessage
