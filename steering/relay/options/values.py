"""The values of a relay's options, read from text: ports, ranges, prefixes, names, a controller and its token.

Every refusal is one line that names the option and the value (`OptionError`).
"""

import os
import stat
from collections.abc import Sequence
from enum import StrEnum
from ipaddress import ip_network
from typing import TypeVar
from urllib.parse import urlsplit

from steering.relay.model import ControllerAccess, Network, OptionError, Ranges

Choice = TypeVar("Choice", bound=StrEnum)


MAX_PORTS = 1024
"""Most service ports, as each has a listener: a typing error such as `1-65535` is refused."""


MAX_PREFIXES = 1024
MAX_TOKEN = 4096


IFACE_NAME_MAX = 15
"""Most bytes of an interface name (Linux IFNAMSIZ without the final zero)."""


def parse_ports(values: Sequence[str]) -> tuple[int, ...]:
    """Service ports from `"80"` and `"8000-8010"` texts; at least one, at most MAX_PORTS. Raises OptionError."""
    ports: set[int] = set()
    for text in values:
        low, high = _range("--port", text)
        if high - low >= MAX_PORTS:
            raise OptionError(
                f"--port {text}: more than {MAX_PORTS} ports, and every port needs its own listener"
            )
        ports.update(range(low, high + 1))
    if not ports:
        raise OptionError(
            "--port is required: name every service port to relay, e.g. --port 443 --port 8000-8010"
        )
    if len(ports) > MAX_PORTS:
        raise OptionError(
            f"--port: {len(ports)} ports, at most {MAX_PORTS} (every port needs its own listener)"
        )
    return tuple(sorted(ports))


def parse_ranges(option: str, values: Sequence[str]) -> Ranges:
    """Ranges of ports, of any size. Ranges that touch are joined. Raises OptionError."""
    joined: list[tuple[int, int]] = []
    for low, high in sorted(_range(option, text) for text in values):
        if joined and low <= joined[-1][1] + 1:
            joined[-1] = (joined[-1][0], max(high, joined[-1][1]))
        else:
            joined.append((low, high))
    if len(joined) > MAX_PORTS:
        raise OptionError(f"{option}: {len(joined)} ranges, at most {MAX_PORTS}")
    return tuple(joined)


def _range(option: str, text: str) -> tuple[int, int]:
    first, dash, last = text.partition("-")
    low = _port(option, first, text)
    high = _port(option, last, text) if dash else low
    if low > high:
        raise OptionError(f"{option} {text}: the range runs backwards")
    return low, high


def _port(option: str, text: str, whole: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= 65535):
        raise OptionError(f"{option} {whole}: a port is a number from 1 to 65535, a range is FIRST-LAST")
    return int(text)


def parse_prefixes(values: Sequence[str], option: str = "--prefix") -> tuple[Network, ...]:
    """Prefixes of both families in their order, without repetitions. Raises OptionError."""
    networks: list[Network] = []
    for text in values:
        try:
            network = ip_network(text)
        except ValueError as error:
            raise OptionError(f"{option} {text}: {error}") from None
        if network not in networks:
            networks.append(network)
    if len(networks) > MAX_PREFIXES:
        raise OptionError(f"{option}: {len(networks)} prefixes, at most {MAX_PREFIXES}")
    return tuple(networks)


def parse_interfaces(option: str, values: Sequence[str]) -> tuple[str, ...]:
    """Interface names. As they are written into nft rules, a name that could end a rule is refused. Raises
    OptionError."""
    for name in values:
        plain = name.isascii() and all(c.isalnum() or c in "-_.@" for c in name)
        if not (plain and 0 < len(name) <= IFACE_NAME_MAX):
            raise OptionError(f"{option} {name!r} is not an interface name")
    return tuple(dict.fromkeys(values))


def parse_bound(option: str, value: str, low: int, high: int) -> int:
    """A whole number of an option, within [low, high]. Raises OptionError."""
    if not (value.isascii() and value.isdigit() and len(value) <= 9 and low <= int(value) <= high):
        raise OptionError(f"{option} {value}: a whole number from {low} to {high}")
    return int(value)


def parse_agent(
    url: str | None, mcp: str | None, token: str | None, ca: str | None
) -> ControllerAccess | None:
    """The controller that an agent obeys: its URL, the name of this MCP there, the file of its token, and a CA. Raises
    OptionError."""
    if url is None:
        if mcp or token or ca:
            raise OptionError("--mcp, --token-file and --ca-file go with --controller URL")
        return None
    try:
        parts = urlsplit(url)
        good = parts.scheme in ("http", "https") and parts.hostname and (parts.port or 1) and url.isascii()
        (parts.hostname or "").encode("idna")  # as the resolver does: a name such as a..b has no form there
    except ValueError:
        good = False
    if not good or any(c.isspace() for c in url):
        raise OptionError(f"--controller {url!r} is no http or https address")
    if not mcp or not token:
        raise OptionError(
            "--controller needs --mcp NAME and --token-file FILE (steering token add --role mcp)"
        )
    return ControllerAccess(url, mcp, read_token(token), ca)


def read_token(file: str) -> str:
    """The bearer token in a file. Raises OptionError, also where all users can read the file.

    To the controller, anybody with the token is this MCP or device. A path that is no regular file, such as a FIFO,
    is refused and never blocks.
    """
    try:
        secret = _private_text(file)
    except (OSError, UnicodeDecodeError) as error:
        raise OptionError(f"--token-file {file}: {getattr(error, 'strerror', None) or 'no text'}") from None
    if not secret or len(secret) > MAX_TOKEN or any(not "!" <= c <= "~" for c in secret):
        raise OptionError(f"--token-file {file}: it holds no token")
    return secret


def _private_text(file: str) -> str:
    """The ASCII text of a regular file that only its owner can read. Raises OSError, UnicodeDecodeError and OptionError."""
    opened = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        found = os.fstat(opened)
        if not stat.S_ISREG(found.st_mode):
            raise OptionError(f"--token-file {file}: it is no file")
        if found.st_mode & (stat.S_IRWXO | stat.S_IWGRP):
            raise OptionError(f"--token-file {file}: others can read or change it: chmod 600 it")
        return os.read(opened, MAX_TOKEN + 1).decode("ascii").strip()
    finally:
        os.close(opened)


def parse_choice(option: str, value: str, choices: type[Choice]) -> Choice:
    """One of an enumeration's values. Raises OptionError naming all of them."""
    try:
        return choices(value)
    except ValueError:
        raise OptionError(f"{option} {value!r}: one of {', '.join(choices)}") from None
