"""A machine as `steering relay --check` finds it: its sysctls, and what its tools print.

`nft_ruleset.json` is what nft 1.0.6 lists of a relay for TCP ports 443 and 5201 to 5203 of three prefixes.
"""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from steering.relay.kernel import check_nft, sysctls
from steering.relay.kernel.commands import RuleError
from steering.relay.model import UnknownOptions
from steering.relay.options.relay_options import RelayOptions
from steering.relay.options.values import parse_prefixes
from tests.support.relay_options import options

Json = dict[str, Any]
LISTED = Path(__file__).with_name("nft_ruleset.json").read_text()
PREFIXES = parse_prefixes(["10.9.0.0/24", "10.10.0.0/24", "fd00:9::/64"])
PORTS = (443, 5201, 5202, 5203)
RULES4 = [
    {"priority": 0, "src": "all", "table": "local"},
    {"priority": 90, "src": "all", "fwmark": "0x5354", "fwmask": "0xffff", "table": "5354"},
    {"priority": 32766, "src": "all", "table": "main"},
]
ROUTES4 = [{"type": "local", "dst": "default", "dev": "lo", "scope": "host", "flags": []}]
ROUTES6 = [{"type": "local", "dst": "default", "dev": "lo", "metric": 1024, "flags": [], "pref": "medium"}]
MAIN = [{"dst": "10.9.0.0/24", "dev": "out0", "scope": "link"}, {"dst": "10.1.0.0/24", "dev": "in1"}]


def relay(**changes: object) -> RelayOptions:
    given: dict[str, object] = {
        "ports": PORTS,
        "prefixes": PREFIXES,
        "dscp": None,
        "unknown_options": UnknownOptions.RELAY,
    }
    return options(**(given | changes))


class FakeMachine:
    """A machine that is in order for `relay()`; tests break it."""

    def __init__(self) -> None:
        self.sysctls = {one.name: one.value for one in sysctls.settings(relay())}
        self.names = ["in1", "in2", "lo", "out0"]
        for name in self.names:
            for setting in sysctls.PER_INTERFACE:
                self.sysctls[sysctls.of_interface(setting, name).name] = setting.value
        self.why = ""
        self.meant = LISTED
        self.printed: dict[str, str | None] = {
            check_nft.LIST: LISTED,
            "ip -j rule show": json.dumps(RULES4),
            "ip -6 -j rule show": json.dumps(RULES4),
            "ip -j route show table 5354": json.dumps(ROUTES4),
            "ip -6 -j route show table 5354": json.dumps(ROUTES6),
            "ip -j route show": json.dumps(MAIN),
            "ip -j mptcp endpoint show": "",
            "ip mptcp limits show": "add_addr_accepted 0 subflows 8 \n",
        }

    def sysctl(self, name: str) -> str | None:
        return self.sysctls.get(name)

    def interfaces(self) -> Sequence[str]:
        return self.names

    def platform(self) -> str:
        return self.why

    def run(self, line: str, text: str | None = None) -> str:
        if line == check_nft.APART:
            assert text is not None and "table inet steering_relay" in text
            return self.meant
        printed = self.printed.get(line)
        if printed is None:
            raise RuleError(f"{line}: it fails")
        return printed

    def nft(self, change: Callable[[list[Json]], list[Json]]) -> None:
        rows = change(json.loads(LISTED)["nftables"])
        self.printed[check_nft.LIST] = json.dumps({"nftables": rows})


def without(*wrong: Callable[[Json], bool]) -> Callable[[list[Json]], list[Json]]:
    return lambda rows: [row for row in rows if not any(one(row) for one in wrong)]


def of_table(name: str) -> Callable[[Json], bool]:
    return lambda row: any(
        isinstance(it, dict) and name in (it.get("table"), it.get("name")) for it in row.values()
    )


def rule_of(chain: str) -> Callable[[Json], bool]:
    return lambda row: row.get("rule", {}).get("chain") == chain


def take_of(family: str) -> Callable[[Json], bool]:
    return lambda row: f'"tproxy": {{"family": "{family}"' in json.dumps(row)
