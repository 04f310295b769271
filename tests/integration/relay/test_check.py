"""`steering relay --check` on a real kernel: clean after --nft's script, and each thing taken away is named alone."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator

import pytest

from steering.relay.kernel import rules, sysctls
from steering.relay.kernel.check import Fault, FaultKind, ThisMachine, faults
from steering.relay.model import AdvertisedAddress, UnknownOptions
from steering.relay.options.relay_options import RelayOptions
from steering.relay.options.values import parse_prefixes
from tests.support.relay_lab import PREFIXES, ROOT, Lab, wait_for
from tests.support.relay_options import options

WANTED = options(
    ports=(443, 5201, 5202),
    prefixes=parse_prefixes(list(PREFIXES)),
    inside=("in1", "in2"),
    advertise=(AdvertisedAddress("10.8.0.2"),),
    unknown_options=UnknownOptions.RELAY,
)
COMMAND = (
    sys.executable,
    "-m",
    "steering.cli.main",
    "relay",
    "--source-mode",
    "transparent",
    "--prefix",
    PREFIXES[0],
)
RELAY_TABLE = "inet steering_relay"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    built = Lab(tmp_path_factory.mktemp("check"))
    yield built
    built.close()


def apply(lab: Lab, wanted: RelayOptions = WANTED) -> None:
    path = lab.directory / "rules.sh"
    path.write_text(rules.script(wanted))
    lab.run("mcp", f"sh {path}")


def found(lab: Lab) -> list[Fault]:
    with lab.inside("mcp"):
        return faults(WANTED, ThisMachine())


def replace_take(lab: Lab, to: str) -> None:
    listed = json.loads(lab.run("mcp", f"nft -j list chain {RELAY_TABLE} taken"))["nftables"]
    handle = next(
        row["rule"]["handle"] for row in listed if '"family": "ip"' in json.dumps(row) and "rule" in row
    )
    lab.run("mcp", f"nft delete rule {RELAY_TABLE} taken handle {handle}")
    path = lab.directory / "take.nft"
    path.write_text(
        f'insert rule {RELAY_TABLE} taken iifname {{ "in1", "in2" }} ip daddr 10.9.0.0/24 tcp dport'
        f" {{ 443, 5201-5202 }} tproxy ip to {to} meta mark set 0x5354 accept"
    )
    lab.run("mcp", f"nft -f {path}")


BREAKS: list[tuple[str | Callable[[Lab], None], FaultKind, str]] = [
    ("sysctl -qw net.mptcp.enabled=0", FaultKind.SYSCTL, "net.mptcp.enabled is 0"),
    ("sysctl -qw net.mptcp.blackhole_timeout=3600", FaultKind.SYSCTL, "net.mptcp.blackhole_timeout is 3600"),
    ("sysctl -qw net.ipv4.ip_forward=0", FaultKind.SYSCTL, "net.ipv4.ip_forward is 0"),
    ("sysctl -qw net.ipv4.conf.in2.rp_filter=1", FaultKind.SYSCTL, "net.ipv4.conf.in2.rp_filter is 1"),
    ("sysctl -qw net.ipv4.conf.out0.rp_filter=1", FaultKind.SYSCTL, "net.ipv4.conf.out0.rp_filter is 1"),
    ("ip rule del pref 90", FaultKind.IP_RULE, "no rule sends IPv4 of mark 0x5354"),
    ("ip -6 rule del pref 90", FaultKind.IP_RULE, "no rule sends IPv6 of mark 0x5354"),
    ("ip route flush table 5354", FaultKind.ROUTE, "table 5354 has no route of IPv4"),
    ("ip -6 route flush table 5354", FaultKind.ROUTE, "table 5354 has no route of IPv6"),
    ("ip mptcp endpoint flush", FaultKind.ENDPOINT, "10.8.0.2 is no MPTCP endpoint"),
    ("ip mptcp limits set subflows 2", FaultKind.LIMITS, "MPTCP allows 2 subflows"),
    (f"nft delete table {RELAY_TABLE}", FaultKind.NFT, "there is no table inet steering_relay"),
    ("nft delete table inet steering_dscp", FaultKind.NFT, "DSCP is not carried over"),
    ("nft delete table inet steering_mss", FaultKind.NFT, "there is no table inet steering_mss"),
    ("nft flush chain inet steering_dscp put34", FaultKind.NFT, "chain put34 of table inet steering_dscp"),
    (f"nft flush chain {RELAY_TABLE} late", FaultKind.NFT, "chain late of table inet steering_relay"),
    (f"nft insert rule {RELAY_TABLE} fresh drop", FaultKind.NFT, "rules that are not the relay's"),
    (lambda lab: replace_take(lab, ":5201"), FaultKind.LISTENER_PORT, "port 443, 5202 to a listener at 5201"),
    (f"nft flush chain {RELAY_TABLE} taken", FaultKind.INTERCEPTION, "no TPROXY rule takes IPv4 to 10.9.0.0/24"),
    ("ip link set in2 name in9", FaultKind.INTERFACE, "there is no interface in2"),
]  # fmt: skip


def test_what_is_taken_away_is_named_alone_and_what_is_put_back_is_not(lab: Lab) -> None:
    assert {fault.kind for fault in found(lab)} > {
        FaultKind.SYSCTL,
        FaultKind.NFT,
        FaultKind.IP_RULE,
        FaultKind.ROUTE,
    }
    apply(lab)
    assert found(lab) == []
    tables = lab.directory / "tables.nft"
    tables.write_text("".join(table.text for table in rules.tables(WANTED)))
    for change, kind, said in BREAKS:
        if isinstance(change, str):
            lab.run("mcp", change)
        else:
            change(lab)
        told = found(lab)
        both = 2 if kind is FaultKind.INTERCEPTION else 1  # a line for each family
        assert [fault.kind for fault in told] == [kind] * both, (change, told)
        assert said in told[0].what, (change, told)
        # What it tells to do mends it; a table's rules are its options' to install.
        mend = (
            "ip link set in9 name in2" if kind is FaultKind.INTERFACE else told[0].fix or f"nft -f {tables}"
        )
        lab.run("mcp", mend)
    assert found(lab) == []


def test_what_an_operator_set_higher_stays(lab: Lab) -> None:
    lab.run("mcp", "sysctl -qw net.core.somaxconn=65535 net.ipv4.tcp_max_syn_backlog=100")
    with lab.inside("mcp"):
        sysctls.apply(WANTED)
        assert ThisMachine().sysctl("net.core.somaxconn") == "65535"
        assert ThisMachine().sysctl("net.ipv4.tcp_max_syn_backlog") == "8192"


def test_the_command_says_so_by_its_status(lab: Lab) -> None:
    def check(*words: str) -> subprocess.CompletedProcess[str]:
        command = [*lab.exec_in("mcp"), *COMMAND, "--port", "5201", "--check", *words]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)

    apply(lab, options(ports=(5201,), prefixes=parse_prefixes([PREFIXES[0]])))
    clean = check()
    assert (clean.returncode, clean.stdout) == (0, "the kernel is set up for this relay\n"), clean
    lab.run("mcp", "sysctl -qw net.mptcp.blackhole_timeout=60")
    faulty = check()
    assert faulty.returncode == 1 and faulty.stdout.startswith("sysctl: net.mptcp.blackhole_timeout is 60")
    assert faulty.stdout.count("\n") == 1 and faulty.stderr == ""
    (told,) = json.loads(check("--json").stdout)
    assert told["kind"] == "sysctl" and told["fix"] == "sysctl -w net/mptcp/blackhole_timeout=0"


def test_a_relay_that_starts_tells_what_is_wrong_and_serves(lab: Lab) -> None:
    lab.stop_relays()  # and what an earlier test installed
    lab.run("mcp", "sysctl -qw net.core.somaxconn=128")
    relay = lab.relay(apply=False)
    wait_for(lambda: "kind=nft what=there is no table" in relay.log.read_text())
    told = relay.log.read_text()
    assert "misconfigured kind=sysctl what=net.core.somaxconn is 128, 8192 is wanted" in told
    assert told.index("relay: ready") < told.index("misconfigured")
    lab.stop_relays()
    relay = lab.relay()
    time.sleep(3)
    assert "misconfigured" not in relay.log.read_text()
