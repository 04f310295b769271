"""The maximum segment size on both legs of what is relayed, so that nothing of it needs fragments (N-5.6.4, D-6.7.5).

The size a SYN or SYN/ACK tells is lowered, never raised: in what this machine sends, for what its peers send; and where
a size is given, also in what it receives, for what it sends itself. `auto` takes the path MTU that the kernel knows. What
is only forwarded keeps its own (D-6.7.3). A table of its own, so that it can be switched while connections live; they
keep what they began with.
"""

from steering.relay.kernel.commands import RuleError, command
from steering.relay.model import OptionError

TABLE = "steering_mss"
AUTO = 0
LEAST, MOST = 88, 65_495  # 88: the kernel's own TCP_MIN_MSS; above, no IPv4 packet holds it


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
    """The table as text for `nft -f`; with None it is there and does nothing."""
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
    """Replace the table while the relay runs, if its rules are installed; whether they are."""
    try:
        command(f"nft list table inet {TABLE}")
        install(clamp)
    except RuleError:
        return False
    return True


def remove() -> None:
    """Take the table away; none there is no error."""
    command(f"nft delete table inet {TABLE}", must=False)
