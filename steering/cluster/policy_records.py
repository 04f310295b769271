"""What the members of a cell write into etcd to agree on a policy. Whatever is there is untrusted, and bounded.

The keys stand beside those of `EtcdStore`, below the same prefix, so that one transaction can change both: what is proposed, who is
prepared for it, and what is in force.
"""

import json
from typing import Any, NamedTuple

from steering.cluster.cell import CONTROLLER
from steering.store.etcd.keys import MOST_VALUE
from steering.store.json_text import is_deep

POLICY = "policy/"  # all keys of this module
PROPOSAL, ACTIVE, ACK = "policy/proposal", "policy/active", "policy/ack/"
MOST_REASON = 200  # characters
MOST_VERSION = 999_999_999
_SMALL = 4_096  # characters of a record without a policy's text
_ID = 64  # characters


class PolicyProposal(NamedTuple):
    """A policy that is to come into force as `version`. `id` tells it from all others, also of its number. `by`: the
    controller that it was written at; `head`: of its value in the store, which is in no place yet."""

    id: str
    by: str
    version: int
    head: str


class PolicyAck(NamedTuple):
    """What a member says to a proposal. `refusal`: why it cannot use it; "": it is prepared."""

    id: str
    refusal: str = ""


class ActivePolicy(NamedTuple):
    """The policy in force. `id`: of its proposal, "" for the first one of a cell; `sha256`: of its text, in hex."""

    id: str
    version: int
    sha256: str


def record_text(record: PolicyProposal | PolicyAck | ActivePolicy) -> str:
    return json.dumps(record._asdict())


def read_proposal(text: str) -> PolicyProposal:
    """Raises ValueError for what is none."""
    told = _object(text, MOST_VALUE)
    proposal = PolicyProposal(
        _word(told, "id", _ID), _word(told, "by", _ID), _version(told), _word(told, "head", MOST_VALUE)
    )
    if not proposal.id or not CONTROLLER.fullmatch(proposal.by):
        raise ValueError
    return proposal


def read_ack(text: str) -> PolicyAck:
    """Raises ValueError for what is none."""
    told = _object(text, _SMALL)
    return PolicyAck(_word(told, "id", _ID), one_line(_word(told, "refusal", MOST_REASON)))


def read_active(text: str) -> ActivePolicy:
    """Raises ValueError for what is none."""
    told = _object(text, _SMALL)
    return ActivePolicy(_word(told, "id", _ID), _version(told), _word(told, "sha256", _ID))


def one_line(text: str) -> str:
    """As a reason may be: bounded, on one line, in ASCII."""
    return "".join(c if c.isascii() and c.isprintable() else " " for c in text[:MOST_REASON])


def _object(text: str, most: int) -> dict[str, Any]:
    if len(text) > most:
        raise ValueError
    try:
        told = json.loads(text)
    except RecursionError:
        raise ValueError from None
    if not isinstance(told, dict) or is_deep(told):
        raise ValueError
    return told


def _word(told: dict[str, Any], name: str, most: int) -> str:
    found = told.get(name)
    if not isinstance(found, str) or len(found) > most or not found.isascii():
        raise ValueError
    return found


def _version(told: dict[str, Any]) -> int:
    found = told.get("version")
    if type(found) is not int or not 1 <= found <= MOST_VERSION:
        raise ValueError
    return found
