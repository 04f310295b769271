"""Inputs and outputs of the engine where a site has several controllers (docs/design/architecture.rst).

Without `--cluster` none of them occurs.
"""

from collections.abc import Mapping
from typing import NamedTuple

from steering.model.ids import DatapathId
from steering.wire.peer_messages import VERSION, PeerMessage


class ClusterChanged(NamedTuple):
    """Which controller decides for which switch from now on. `me`: this controller's name. `members`: the names of the
    other controllers. `owners`: the controller of each switch; a switch that is missing has none."""

    me: str
    members: frozenset[str]
    owners: Mapping[DatapathId, str]


class PeerUp(NamedTuple):
    """Another controller can be reached: its stream is open in both directions. `version`: of the protocol that is spoken with
    it."""

    name: str
    version: int = VERSION


class PeerLost(NamedTuple):
    """Another controller cannot be reached any more: its stream ended, or three heartbeats are missing."""

    name: str


class PeerTold(NamedTuple):
    """A message of another controller. Messages of one controller come in the order in which it sent them."""

    name: str
    message: PeerMessage


class WriteRefused(NamedTuple):
    """Another controller could not write to a switch that is said to be its own, or does not know whether it did."""

    name: str
    dpid: DatapathId


class TurnOver(NamedTuple):
    """A batch of messages from switches and controllers is over. The resulting changes can be sent to others now."""


PeerInput = ClusterChanged | PeerUp | PeerLost | PeerTold | WriteRefused | TurnOver


class TellPeer(NamedTuple):
    """An output: send a message to another controller. `name` "": to all controllers that can be reached."""

    name: str
    message: PeerMessage
