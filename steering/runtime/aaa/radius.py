"""Asks a RADIUS server whether a source may use the network (RFC 2865): one Access-Request, answered by Access-Accept or
Access-Reject.

pyrad makes and reads the packets. This module sends them itself, because pyrad's own way of polling would stop the whole
controller. Requests and answers carry a Message-Authenticator; an answer without one is ignored (CVE-2024-3596).
"""

import socket
from collections.abc import Callable
from io import StringIO
from ipaddress import IPv4Address, ip_address
from pathlib import Path
from time import monotonic

from pyrad.dictionary import Dictionary
from pyrad.packet import AccessAccept, AccessReject, AuthPacket, PacketError

from steering.core.inputs import Authorised
from steering.core.outputs import Authorise
from steering.model.aaa import RadiusAaa
from steering.model.authorisation import Verdict
from steering.store.interface import StateError, StateRefusal
from steering.store.private_file import read_private

MOST = 4_096  # RFC 2865 section 3
TRIES = 2
LONGEST_CLASS = 63
SHORTEST_SECRET = 8

# RFC 2865; Message-Authenticator RFC 2869, Framed-IPv6-Address RFC 6911, NAS-Port-Id RFC 2869.
_DICTIONARY = """
ATTRIBUTE User-Name             1   string
ATTRIBUTE Service-Type          6   integer
ATTRIBUTE Framed-IP-Address     8   ipaddr
ATTRIBUTE Filter-Id             11  string
ATTRIBUTE Reply-Message         18  string
ATTRIBUTE State                 24  octets
ATTRIBUTE Class                 25  octets
ATTRIBUTE Session-Timeout       27  integer
ATTRIBUTE Calling-Station-Id    31  string
ATTRIBUTE NAS-Identifier        32  string
ATTRIBUTE Proxy-State           33  octets
ATTRIBUTE Message-Authenticator 80  octets
ATTRIBUTE NAS-Port-Id           87  string
ATTRIBUTE Framed-IPv6-Address   168 ipv6addr
VALUE     Service-Type          Call-Check 10
"""


def radius_authorizer(aaa: RadiusAaa) -> Callable[[Authorise], Authorised]:
    """A function that asks the server. Raises OSError and StateError for a secret that cannot be used."""
    dictionary = Dictionary(StringIO(_DICTIONARY))
    secret = read_private(Path(aaa.secret_file)).encode()
    if len(secret) < SHORTEST_SECRET:
        raise StateError(
            StateRefusal.DAMAGED, f"{aaa.secret_file} holds no secret of {SHORTEST_SECRET} characters or more"
        )
    family = socket.AF_INET6 if ":" in aaa.host else socket.AF_INET

    def ask(question: Authorise) -> Authorised:
        request = access_request(question, secret, dictionary, aaa.nas_identifier)
        data = request.RequestPacket()
        limit = monotonic() + question.seconds
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as line:
                line.connect((aaa.host, aaa.port))
                for left in range(TRIES, 0, -1):
                    line.send(data)
                    until = monotonic() + (limit - monotonic()) / left
                    answer = _wait(line, request, until)
                    if answer is not None:
                        return answer._replace(request=question.request)
        except OSError:
            pass
        return Authorised(question.request, Verdict.ERROR)

    return ask


def access_request(
    question: Authorise, secret: bytes, dictionary: Dictionary, nas_identifier: str
) -> AuthPacket:
    """The question as an Access-Request. A source that the registry does not know is named by its address."""
    address = ip_address(question.source)
    packet = AuthPacket(secret=secret, dict=dictionary)
    packet.add_message_authenticator()
    packet["User-Name"] = question.subscriber or str(address)
    packet["Service-Type"] = "Call-Check"
    packet["NAS-Identifier"] = nas_identifier
    packet["NAS-Port-Id"] = question.access
    packet["Calling-Station-Id"] = str(address)
    framed = "Framed-IP-Address" if isinstance(address, IPv4Address) else "Framed-IPv6-Address"
    packet[framed] = str(address)
    return packet


def _wait(line: socket.socket, request: AuthPacket, until: float) -> Authorised | None:
    """Wait for the first valid answer; None at the time `until`. Other packets are dropped."""
    while (left := until - monotonic()) > 0:
        line.settimeout(left)
        try:
            data = line.recv(MOST)
        except TimeoutError:
            return None
        found = read_reply(request, data)
        if found is not None:
            return found
    return None


def read_reply(request: AuthPacket, data: bytes) -> Authorised | None:
    """The meaning of a reply; None if the reply is not the server's answer to this request."""
    try:
        reply = request.CreateReply(packet=data)
        if not request.VerifyReply(reply, data, enforce_ma=True):
            return None
        if reply.code == AccessReject:
            return Authorised(0, Verdict.DENY)
        if reply.code != AccessAccept:
            return Authorised(0, Verdict.ERROR)  # a challenge, which no user is there to answer
        named = str(reply["Filter-Id"][0]) if "Filter-Id" in reply else ""
        lasts = float(reply["Session-Timeout"][0]) if "Session-Timeout" in reply else None
    except (PacketError, ValueError, KeyError, IndexError, TypeError, UnicodeError):
        return None
    return Authorised(0, Verdict.ALLOW, named if len(named) <= LONGEST_CLASS else "", lasts or None)
