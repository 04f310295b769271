"""Asks the controller for the MCPs that a CPE's relay may use, before the relay starts. So a CPE needs only the controller's
address and a token.

This realises N-5.2.1a, for which Linux has no DHCP option: `GET /v1/discovery` over TLS with a token of role device (N-7.3b).
An answer counts only if the certificate proves the controller and the controller accepts the token.
"""

import http.client
import ssl
from dataclasses import dataclass, field
from ipaddress import ip_network
from typing import Any
from urllib.parse import urlsplit

from steering.relay.controller.hostile_json import read_object, told_address
from steering.relay.model import Network, OptionError
from steering.relay.options.values import MAX_PREFIXES, read_token

TIMEOUT_S = 10.0
MAX_ANSWER = 1 << 20


@dataclass(frozen=True, slots=True)
class DiscoveryAccess:
    """The controller's https URL, the bearer token, and a PEM file of CAs, None for the system's CAs."""

    url: str
    token: str = field(repr=False)
    ca: str | None


def parse_discover(url: str, token: str | None, ca: str | None) -> DiscoveryAccess:
    """The options of discovery. Raises OptionError, also for an address that is not https (N-7.3b)."""
    try:
        parts = urlsplit(url)
        good = bool(parts.hostname) and (parts.port or 1) and url.isascii() and not any(map(str.isspace, url))
        (parts.hostname or "").encode("idna")  # as the resolver does: a name such as a..b has no form there
    except ValueError:
        good = False
    if not good or parts.scheme != "https":
        raise OptionError(f"--discover {url!r}: an https address; without TLS anybody could answer")
    if not token:
        raise OptionError("--discover needs --token-file FILE (steering token add --role device)")
    return DiscoveryAccess(url, read_token(token), ca)


def discover(controller: DiscoveryAccess) -> tuple[Network, ...]:
    """The addresses of the MCPs that may be used now, as host prefixes, the least loaded MCP first. Blocks for at most some
    TIMEOUT_S seconds.

    Raises OptionError where TLS fails, the token is refused, no MCP can be used, or the answer is malformed.
    """
    status, data = _asked(controller)
    if status != http.HTTPStatus.OK:
        why = {401: "it refuses the token", 403: "the token is for other things (role device is meant)"}
        told = why.get(status, "no MCP can be used now" if status == 503 else f"it answers {status}")
        raise OptionError(f"--discover {controller.url}: {told}")
    try:
        found = _addresses(read_object(data))
    except (ValueError, TypeError, LookupError):
        raise OptionError(f"--discover {controller.url}: what answers is no steering controller") from None
    return tuple(dict.fromkeys(found))


def _asked(controller: DiscoveryAccess) -> tuple[int, bytes]:
    parts = urlsplit(controller.url)
    connection: http.client.HTTPSConnection | None = None
    try:
        context = ssl.create_default_context(cafile=controller.ca)
        connection = http.client.HTTPSConnection(
            parts.hostname or "", parts.port, timeout=TIMEOUT_S, context=context
        )
        headers = {"Authorization": f"Bearer {controller.token}", "Accept": "application/json"}
        connection.request("GET", f"{parts.path.rstrip('/')}/v1/discovery", headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read(MAX_ANSWER)
    except ssl.SSLError as error:
        why = getattr(error, "verify_message", "") or error.reason or str(error)
        raise OptionError(f"--discover {controller.url}: no TLS: {why} (--ca-file)") from None
    except (OSError, http.client.HTTPException) as error:
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise OptionError(f"--discover {controller.url}: {why}") from None
    finally:
        if connection is not None:
            connection.close()


def _addresses(answer: Any) -> list[Network]:
    texts = [text for mcp in answer["mcps"] for text in mcp["addresses"]]
    if not texts or len(texts) > MAX_PREFIXES:
        raise ValueError
    return [ip_network(told_address(text)) for text in texts]
