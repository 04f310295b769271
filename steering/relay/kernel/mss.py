"""The maximum segment size (MSS) on both legs of relayed connections, so that no packet of them is fragmented
(N-5.6.4, D-6.7.5).

The MSS of a SYN or SYN/ACK is lowered, never raised: in segments that this machine sends, which limits its peers, and
where a size is given also in segments that it receives, which limits itself. `auto` uses the path MTU that the kernel
knows. Forwarded segments keep their MSS (D-6.7.3). The rules are in a table of their own, so that they can be
switched while there are connections; these keep the MSS with which they began.
"""

from steering.relay.kernel.commands import RuleError, command
from steering.relay.model import OptionError

TABLE = "steering_mss"
AUTO = 0
LEAST, MOST = (
    88,
    65_495,
)  # 88 is the kernel's TCP_MIN_MSS; no IPv4 packet holds a larger segment than the other


def parse_clamp(text: str) -> int | None:
    """`auto` -> AUTO, `1360` -> 1360 bytes, `off` -> None. Raises OptionError."""
    if text == "off":
        return None
    if text == "auto":
        return AUTO
    if text.isascii() and text.isdigit() and len(text) <= 5 and LEAST <= int(text) <= MOST:
        return int(text)
    raise OptionError(f"--mss-clamp {text}: auto, off, or bytes from {LEAST} to {MOST}, e.g. 1360")


def ruleset(clamp: int | None) -> str:
    """The table as text for `nft -f`. With None the table exists and does nothing."""
    rule = "    tcp flags syn tcp option maxseg size set {}\n"
    chains = ""
    if clamp is not None:
        sent = rule.format(clamp or "rt mtu")
        chains = (
            f"  chain output {{\n    type filter hook output priority mangle; policy accept;\n{sent}  }}\n"
        )
    if clamp:
        got = rule.format(clamp)
        chains += f"  chain input {{\n    type filter hook input priority mangle; policy accept;\n{got}  }}\n"
    return f"table inet {TABLE}\ndelete table inet {TABLE}\ntable inet {TABLE} {{\n{chains}}}\n"


def install(clamp: int | None) -> None:
    """Load the table, replacing an earlier one. Raises RuleError."""
    command("nft -f -", text=ruleset(clamp))


def switch(clamp: int | None) -> bool:
    """Replace the table while the relay runs, if its rules are installed. Returns whether they are."""
    try:
        command(f"nft list table inet {TABLE}")
        install(clamp)
    except RuleError:
        return False
    return True


def remove() -> None:
    """Remove the table, if it exists."""
    command(f"nft delete table inet {TABLE}", must=False)
