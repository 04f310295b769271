"""`steering doctor` on machines that are written down here: each ailment is named with what mends it."""

import json
from pathlib import Path
from typing import Any

import pytest

from steering.cli import examination
from steering.cli.commands.doctor import tell
from steering.cli.machine import LocalMachine
from steering.cli.main import main
from steering.relay.kernel import sysctls

LTE, WLAN = "10.1.0.2", "10.2.0.2"


class Written:
    """A host with two accesses and nothing wrong, and what a test changes of it."""

    def __init__(self, **changes: Any) -> None:
        self.settings = {
            "net.mptcp.enabled": "1",
            "net.ipv4.ip_forward": "1",
            "net.ipv4.conf.all.rp_filter": "0",
        }
        interfaces = [
            {
                "ifname": "lo",
                "link_type": "loopback",
                "addr_info": [{"scope": "global", "local": "192.0.2.9"}],
            },
            {"ifname": "lte0", "link_type": "ether", "addr_info": [{"scope": "global", "local": LTE}]},
            {"ifname": "wlan0", "link_type": "ether", "addr_info": [{"scope": "global", "local": WLAN}]},
        ]
        self.commands: dict[str, str | None] = {
            "ip mptcp limits show": "add_addr_accepted 2 subflows 2\n",
            "ip mptcp endpoint show": f"{WLAN} id 1 subflow dev wlan0 \n",
            "ip -j address show up": json.dumps(interfaces),
            "ip -j route get 192.0.2.1": '[{"dev": "lte0"}]',
            f"ip -j -4 route get 192.0.2.1 from {LTE}": '[{"dev": "lte0"}]',
            f"ip -j -4 route get 192.0.2.1 from {WLAN}": '[{"dev": "wlan0"}]',
            "ovs-vsctl -t 3 list-br": "br0\nhome\n",
            "ovs-vsctl -t 3 get-controller br0": "tcp:192.0.2.1:6653\n",
            "ovs-vsctl -t 3 get-controller home": "\n",
            "ovs-vsctl -t 3 get bridge br0 protocols": '["OpenFlow13"]\n',
            "ovs-vsctl -t 3 get bridge br0 fail_mode": "secure\n",
            "ovs-vsctl -t 3 get controller br0 is_connected": "true\n",
        }
        self.programs = {"ip", "nft", "ovs-vsctl"}
        self.clock: bool | None = True
        self.refused = ""
        self.files = 65_536
        for name, value in changes.items():
            if isinstance(value, dict):
                getattr(self, name).update(value)
            else:
                setattr(self, name, value)

    def setting(self, name: str) -> str | None:
        return self.settings.get(name)

    def run(self, line: str) -> str | None:
        return self.commands.get(line)

    def has(self, program: str) -> bool:
        return program in self.programs

    def synchronised(self) -> bool | None:
        return self.clock

    def connects(self, host: str, port: int) -> str:
        return self.refused

    def descriptors(self) -> int:
        return self.files


def test_nothing_is_wrong_with_a_machine_that_is_well() -> None:
    well = Written()
    for of in (examination.of_host, examination.of_relay, examination.of_controller):
        assert list(of(well)) == []
    assert list(examination.reaches(well, "mcp", "[fd00::1]:8803")) == []


@pytest.mark.parametrize(
    ("changes", "check", "mend"),
    [
        ({"settings": {"net.mptcp.enabled": "0"}}, "kernel", "sysctl -w net.mptcp.enabled=1"),
        (
            {"commands": {"ip mptcp limits show": "add_addr_accepted 2 subflows 0"}},
            "limits",
            "ip mptcp limits set subflow 2",
        ),
        (
            {"commands": {"ip mptcp limits show": "add_addr_accepted 0 subflows 2"}},
            "limits",
            "ip mptcp limits set add_addr_accepted 2",
        ),
        ({"commands": {"ip mptcp limits show": None}}, "limits", "iproute2"),
        (
            {"commands": {"ip mptcp endpoint show": f"{WLAN} id 1 signal dev wlan0"}},
            "endpoints",
            f"ip mptcp endpoint add {WLAN} dev wlan0 subflow",
        ),
        (
            {"settings": {"net.ipv4.conf.wlan0.rp_filter": "1"}},
            "rp_filter",
            "net.ipv4.conf.wlan0.rp_filter=2",
        ),
        (
            {"commands": {f"ip -j -4 route get 192.0.2.1 from {WLAN}": '[{"dev": "lte0"}]'}},
            "routes",
            f"ip rule add from {WLAN} table 100",
        ),
        ({"commands": {"ip -j address show up": "[]"}}, "accesses", "bring another one up"),
        ({"clock": False}, "clock", "timedatectl set-ntp true"),
    ],
)
def test_what_is_wrong_with_a_host(changes: dict[str, Any], check: str, mend: str) -> None:
    (found,) = examination.of_host(Written(**changes))
    assert found.check == check and mend in found.mend


def test_a_kernel_without_mptcp_is_told_once_and_not_its_consequences() -> None:
    bare = Written()
    del bare.settings["net.mptcp.enabled"]
    (found,) = examination.of_host(bare)
    assert found.check == "kernel" and "CONFIG_MPTCP" in found.mend


@pytest.mark.parametrize(
    ("changes", "check", "mend"),
    [
        ({"settings": {"net.ipv4.conf.all.rp_filter": "1"}}, "rp_filter", "rp_filter=0"),
        ({"settings": {"net.ipv4.ip_forward": "0"}}, "forwarding", "ip_forward=1"),
        ({"programs": {"ip"}}, "program", "apt-get install nftables"),
        ({"files": 1_024}, "limits", "LimitNOFILE"),
    ],
)
def test_what_is_wrong_with_a_relays_machine(changes: dict[str, Any], check: str, mend: str) -> None:
    (found,) = examination.of_relay(Written(**changes))
    assert found.check == check and mend in found.mend


@pytest.mark.parametrize(
    ("told", "mend"),
    [
        ({"ovs-vsctl -t 3 get bridge br0 protocols": '["OpenFlow10"]'}, "protocols=OpenFlow13"),
        ({"ovs-vsctl -t 3 get bridge br0 fail_mode": "[]"}, "set-fail-mode br0 secure"),
        ({"ovs-vsctl -t 3 get controller br0 is_connected": "false"}, "get-controller br0"),
    ],
)
def test_what_is_wrong_with_a_switch_of_this_machine(told: dict[str, str], mend: str) -> None:
    (found,) = examination.of_controller(Written(commands=told))
    assert found.check == "openflow" and mend in found.mend


def test_what_a_running_controller_tells() -> None:
    missing = [{"kind": "switch", "name": "s2", "port": None, "never_seen": True, "missing_s": 3.0}]
    topology = {"refused": [{"dpid": "000000000000004d", "reason": "unknown-switch", "times": 3}]}
    mcps = {"mcps": [{"name": "core", "health": "sick"}, {"name": "edge", "health": "up"}]}
    found = list(examination.of_controllers_word({"missing": missing}, topology, mcps))
    assert [one.check for one in found] == ["switch", "switch", "mcp"]
    assert all(one.mend for one in found) and "4d" in found[1].what and "core is sick" in found[2].what


def test_who_is_not_reached_is_told_with_the_reason() -> None:
    (found,) = examination.reaches(Written(refused="Connection refused"), "mcp", "10.8.0.2:8803")
    assert "Connection refused" in found.what
    for place in ("10.8.0.2", "10.8.0.2:", "10.8.0.2:0", "10.8.0.2:88033", "10.8.0.2:²", ":8803"):
        (found,) = examination.reaches(Written(), "mcp", place)
        assert "ADDRESS:PORT" in found.what


def test_status_and_json_for_programs(capsys: pytest.CaptureFixture[str]) -> None:
    assert tell(list(examination.of_host(Written(clock=False))), True) == 1
    told = json.loads(capsys.readouterr().out)
    assert told["ok"] is False and told["wrong"][0]["check"] == "clock"
    assert tell([], True) == 0
    assert json.loads(capsys.readouterr().out) == {"ok": True, "wrong": []}


def test_an_interface_of_a_vlan_has_a_dot_in_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    interfaces = json.dumps([
        {"ifname": name, "link_type": "ether", "addr_info": [{"scope": "global", "local": address}]}
        for name, address in (("lte0", LTE), ("eth0.20", WLAN))
    ])  # fmt: skip
    told = {"ip -j address show up": interfaces, f"ip -j -4 route get 192.0.2.1 from {WLAN}": None}
    strict = {"net.ipv4.conf.eth0.20.rp_filter": "1"}
    for look in (examination.of_host, examination.of_relay):
        found = [one for one in look(Written(commands=told, settings=strict)) if one.check == "rp_filter"]
        assert [one.mend[:-1] for one in found] == ["sysctl -w net/ipv4/conf/eth0.20/rp_filter="]
    there = tmp_path / "net" / "ipv4" / "conf" / "eth0.20"
    there.mkdir(parents=True)
    (there / "rp_filter").write_text("1\n")
    monkeypatch.setattr(sysctls, "PROC", tmp_path)
    assert LocalMachine().setting("net.ipv4.conf.eth0.20.rp_filter") == "1"


def test_this_machine_can_be_looked_at(capsys: pytest.CaptureFixture[str]) -> None:
    machine = LocalMachine()
    assert machine.setting("kernel.ostype") == "Linux" and machine.setting("net.no.such") is None
    assert machine.has("sh") and not machine.has("no-such-program")
    assert machine.run("no-such-program") is None
    assert machine.synchronised() in (True, False, None)
    assert "refused" in machine.connects("127.0.0.1", 1)
    assert "no name of a machine" in machine.connects("a..b", 1)
    status = main(["doctor", "controller", "--url", "http://127.0.0.1:1", "--token-file", "/nowhere"])
    assert status == 1 and "controller: /nowhere does not exist" in capsys.readouterr().out
