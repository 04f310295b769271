"""REST requests to another controller and parts of its answers, to bytes and back. `peer_codec` frames them."""

from struct import Struct

from .errors import WireError, WireRefusal
from .peer_messages import RestAnswer, RestQuestion
from .peer_stream import LONGEST

REST_METHODS = ("GET", "DELETE")
LONGEST_TARGET = 2_048  # characters of path and query, as REST takes them
LONGEST_WORD = 128  # bytes of a role or of a token's name

_QUESTION = Struct(">IBBB")
_ANSWER = Struct(">IHB")

LONGEST_PART = LONGEST - _ANSWER.size  # bytes of an answer in one message


def rest_question(body: bytes) -> RestQuestion:
    """The request in a message's body. Raises WireError."""
    if len(body) < _QUESTION.size:
        raise WireError(WireRefusal.BAD_MESSAGE_LENGTH)
    request, method, role, who = _QUESTION.unpack_from(body)
    at = _QUESTION.size
    ends = (at + role, at + role + who)
    if len(body) < ends[1] or max(role, who) > LONGEST_WORD:
        raise WireError(WireRefusal.BAD_MESSAGE_LENGTH)
    try:
        words = (body[at : ends[0]].decode(), body[ends[0] : ends[1]].decode(), body[ends[1] :].decode())
    except UnicodeDecodeError:
        raise WireError(WireRefusal.BAD_VALUE) from None
    if method >= len(REST_METHODS) or len(words[2]) > LONGEST_TARGET:
        raise WireError(WireRefusal.BAD_VALUE)
    return RestQuestion(request, method, *words)


def rest_question_body(one: RestQuestion) -> bytes:
    """The body of a message with a request. Raises WireError for a value that does not fit."""
    try:
        role, who, target = one.role.encode(), one.who.encode(), one.target.encode()
    except UnicodeEncodeError:
        raise WireError(WireRefusal.BAD_VALUE) from None
    if (
        max(len(role), len(who)) > LONGEST_WORD
        or len(one.target) > LONGEST_TARGET
        or not 0 <= one.method < len(REST_METHODS)
    ):
        raise WireError(WireRefusal.BAD_VALUE)
    return _QUESTION.pack(one.request, one.method, len(role), len(who)) + role + who + target


def rest_answer(body: bytes) -> RestAnswer:
    """The part of an answer in a message's body. Raises WireError."""
    if len(body) < _ANSWER.size:
        raise WireError(WireRefusal.BAD_MESSAGE_LENGTH)
    request, status, last = _ANSWER.unpack_from(body)
    if last > 1 or not 200 <= status <= 599:
        raise WireError(WireRefusal.BAD_VALUE)
    return RestAnswer(request, status, bool(last), body[_ANSWER.size :])


def rest_answer_body(one: RestAnswer) -> bytes:
    """The body of a message with a part of an answer."""
    return _ANSWER.pack(one.request, one.status, one.last) + one.data
