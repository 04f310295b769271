"""The records that members of a cell write into etcd to agree on a policy. Records that are read are untrusted and bounded.

PROPOSAL is the proposed policy, ACK a member's answer to it, ACTIVE the policy in force. The keys have the same prefix as those of
`EtcdStore`, so that one transaction can change both.
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
    """A policy that shall come into force as `version`. `id`: unique, also among proposals of the same version. `by`: the
    controller at which the policy was written. `head`: the head of its value in the store (`EtcdStore.stage`)."""

    id: str
    by: str
    version: int
    head: str


class PolicyAck(NamedTuple):
    """A member's answer to the proposal `id`. `refusal`: why the member cannot use the policy; "": it is prepared."""

    id: str
    refusal: str = ""


class ActivePolicy(NamedTuple):
    """The policy in force. `id`: the id of its proposal, "" for the first policy of a cell. `sha256`: of its text, in hex."""

    id: str
    version: int
    sha256: str


def record_text(record: PolicyProposal | PolicyAck | ActivePolicy) -> str:
    return json.dumps(record._asdict())


def read_proposal(text: str) -> PolicyProposal:
    """The proposal in a value. Raises ValueError for another text."""
    told = _object(text, MOST_VALUE)
    proposal = PolicyProposal(
        _word(told, "id", _ID), _word(told, "by", _ID), _version(told), _word(told, "head", MOST_VALUE)
    )
    if not proposal.id or not CONTROLLER.fullmatch(proposal.by):
        raise ValueError
    return proposal


def read_ack(text: str) -> PolicyAck:
    """The answer in a value. Raises ValueError for another text."""
    told = _object(text, _SMALL)
    return PolicyAck(_word(told, "id", _ID), one_line(_word(told, "refusal", MOST_REASON)))


def read_active(text: str) -> ActivePolicy:
    """The policy in force in a value. Raises ValueError for another text."""
    told = _object(text, _SMALL)
    return ActivePolicy(_word(told, "id", _ID), _version(told), _word(told, "sha256", _ID))


def one_line(text: str) -> str:
    """A reason cut to MOST_REASON characters, on one line, in ASCII."""
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
