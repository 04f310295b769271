"""The state of a cell, read key by key from etcd: members, shares, drains. Keys and values are untrusted: those that this
program did not write are left out and counted.
"""

import json
import re
from typing import Any

from steering.model.cluster import (
    LAST_GENERATION,
    MOST_CAPACITY,
    MOST_MEMBERS,
    MOST_SHARES,
    MOST_STANDBYS,
    ClusterMember,
    Grant,
    Rebalance,
    ShareAssignment,
)

# Keys below the cell's own.
MEMBER, DRAIN, OWN, GENERATION, SHARES = "ctl/", "drain/", "own/", "generation", "shares"
REBALANCE, GAVE_UP = "rebalance", "rebalance-gave-up"
BLIND = "blind/"  # the shares of which a member reaches no switch
ALL = "*"  # all shares
STARTS = "starts/"  # members that are starting and do not yet follow what the cell agrees on
MOST_TEXT = 4_096  # characters of a value
MOST_BLIND_TEXT = 10 * MOST_SHARES  # characters of the value that names shares

CONTROLLER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", re.ASCII)
_SHARE = re.compile(r"s[0-9]{4}", re.ASCII)
_STREAM = re.compile(r"(?:\[[0-9a-fA-F:.]{2,64}\]|[0-9.]{7,15}):[1-9][0-9]{0,4}", re.ASCII)
_ADDRESS = re.compile(r"[\[\]A-Za-z0-9.:/_-]{1,256}", re.ASCII)

Json = dict[str, Any]


class ClusterCell:
    """The cell as this controller knows it. `revisions`: key -> etcd's revision, for compare-and-set. `sites`: member -> digest
    of its site file. `blind`: member -> the shares of which it reaches no switch. `damaged`: the number of values that were left
    out."""

    def __init__(self) -> None:
        self.members: dict[str, ClusterMember] = {}
        self.sites: dict[str, str] = {}
        self.blind: dict[str, frozenset[str]] = {}
        self.draining: set[str] = set()
        self.shares: dict[str, ShareAssignment] = {}
        self.last = 0  # the last generation that was granted
        self.count = 0  # number of shares; 0: not known yet
        self.rebalance: Rebalance | None = None  # the rebalancing that is under way
        self.gave_up: Rebalance | None = None  # the move at which the last rebalancing was given up
        self.revisions: dict[str, int] = {}
        self.damaged = 0

    def take(self, key: str, text: str | None, revision: int) -> None:
        """Take over a key's new text; None: the key was deleted."""
        if text is None:
            self.revisions.pop(key, None)
        else:
            self.revisions[key] = revision
        folder, slash, name = key.partition("/")
        try:
            if slash:
                self._below(f"{folder}/", name, text)
            elif key == GENERATION:
                self.last = _number(text or "0", LAST_GENERATION)
            elif key == SHARES:
                self.count = _number(text or "0", MOST_SHARES)
            elif key == REBALANCE:
                self.rebalance = None if text is None else Rebalance()
                if text:
                    self.rebalance = read_rebalance(text)
            elif key == GAVE_UP:
                self.gave_up = None
                if text:
                    self.gave_up = read_rebalance(text)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            self.damaged += 1

    def _below(self, folder: str, name: str, text: str | None) -> None:
        if folder == MEMBER:
            self.members.pop(name, None)
            self.sites.pop(name, None)
            if text is not None and len(self.members) < MOST_MEMBERS:
                self.members[name], self.sites[name] = read_member(name, text)
        elif folder == DRAIN:
            if text is None:
                self.draining.discard(name)
            elif CONTROLLER.fullmatch(name) and len(self.draining) < MOST_MEMBERS:
                self.draining.add(name)
        elif folder == BLIND:
            self.blind.pop(name, None)
            if text is not None and len(self.blind) < MOST_MEMBERS:
                self.blind[name] = read_blind(name, text)
        elif folder == OWN:
            self.shares.pop(name, None)
            if text is not None and _SHARE.fullmatch(name):
                self.shares[name] = read_assignment(text)

    def present(self) -> list[ClusterMember]:
        """The members, sorted by id, each with its drain order."""
        return [
            member._replace(draining=member.id in self.draining) for member in sorted(self.members.values())
        ]


def member_text(member: ClusterMember, site: str, run: str = "") -> str:
    """`run`: of all processes that have a member's name, the one that wrote this."""
    told = {"address": member.address, "capacity": member.capacity, "site": site, "stream": member.stream}
    return json.dumps(told | {"run": run})


def run_of(text: str) -> str:
    """The process that wrote a member's text; "" for an earlier version's, or another text."""
    try:
        run = _object(text).get("run", "")
    except (ValueError, RecursionError):
        return ""
    return run if isinstance(run, str) else ""


def read_member(name: str, text: str) -> tuple[ClusterMember, str]:
    """A member and its site file's digest. Raises ValueError, KeyError or TypeError for another text."""
    told = _object(text)
    address, site, stream = told["address"], told["site"], told.get("stream", "")
    if not CONTROLLER.fullmatch(name) or not _ADDRESS.fullmatch(address) or not isinstance(site, str):
        raise ValueError
    if stream and not _STREAM.fullmatch(stream):
        raise ValueError
    capacity = max(1, _number(told["capacity"], MOST_CAPACITY))
    return ClusterMember(name, address, capacity, stream=stream), site


def read_blind(name: str, text: str) -> frozenset[str]:
    """The shares of which a member reaches no switch. Raises ValueError, KeyError or TypeError for what is none."""
    if len(text) > MOST_BLIND_TEXT or not CONTROLLER.fullmatch(name):
        raise ValueError
    told = json.loads(text)
    if not isinstance(told, list) or not all(one == ALL or _SHARE.fullmatch(one) for one in told):
        raise ValueError
    return frozenset(told)


def assignment_text(assignment: ShareAssignment) -> str:
    return json.dumps([[one.controller, one.generation] for one in (assignment.owner, *assignment.standbys)])


def read_assignment(text: str) -> ShareAssignment:
    """The assignment of a share. Raises ValueError, KeyError or TypeError for another text."""
    if len(text) > MOST_TEXT:
        raise ValueError
    told = json.loads(text)
    if not isinstance(told, list) or not 1 <= len(told) <= 1 + MOST_STANDBYS:
        raise ValueError
    line = [_grant(*one) for one in told]
    if len({one.controller for one in line}) < len(line) or len({one.generation for one in line}) < len(line):
        raise ValueError
    return ShareAssignment(line[0], tuple(line[1:]))


def rebalance_text(rebalance: Rebalance) -> str:
    return json.dumps(rebalance._asdict())


def read_rebalance(text: str) -> Rebalance:
    """The move of a rebalancing. Raises ValueError, KeyError or TypeError for another text."""
    told = _object(text)
    share, taker = told["share"], told["taker"]
    if (share or taker) and not (_SHARE.fullmatch(share) and CONTROLLER.fullmatch(taker)):
        raise ValueError
    return Rebalance(share, taker)


def _grant(controller: object, generation: object) -> Grant:
    if not isinstance(controller, str) or not CONTROLLER.fullmatch(controller):
        raise ValueError
    return Grant(controller, _number(generation, LAST_GENERATION))


def _object(text: str) -> Json:
    if len(text) > MOST_TEXT:
        raise ValueError
    told = json.loads(text)
    if not isinstance(told, dict):
        raise ValueError
    return told


def _number(told: object, most: int) -> int:
    if isinstance(told, bool) or not isinstance(told, int | str):
        raise ValueError
    number = int(told) if isinstance(told, int) or told.isdigit() else -1
    if not 0 <= number <= most:
        raise ValueError
    return number
