"""MCPs registered, changed and taken out at run time: what is refused and where, what is kept, what the engine is told."""

import json
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from steering.core.inputs import McpsReplaced
from steering.model.control import McpAnswer, McpOutcome
from steering.model.network import PortRef
from steering.model.numbers import stable_id
from steering.openflow.discovery.link_discovery import Discovery, Rejection
from steering.runtime.orders.declared_site import KEPT, DeclaredSite, declare
from steering.runtime.orders.registrar import Registrar
from steering.store.interface import StateError
from steering.store.memory import MemoryStore
from steering.store.numbers import NAME as NUMBERS
from tests.support.controller_process import LINKS, SITE
from tests.support.sites import Driver

FRESH = """\
name: fresh
type: off-path
port: s4:9
addresses: [10.8.2.2, "fd00:28::2"]
source_mode: transparent
capacity: {sessions: 500}
"""


class Registering:
    """A controller's engine over a site file, its registrar, and what outlives it."""

    def __init__(self, folder: Path, site: str = SITE + LINKS, store: MemoryStore | None = None) -> None:
        self.path = folder / "site.yaml"
        self.path.write_text(site)
        self.store = store or MemoryStore()
        declared, lines = declare(str(self.path), self.store)
        assert declared is not None, lines
        self.declared: DeclaredSite = declared
        self.driver = Driver(declared.site)
        for switch in self.driver.engine.switches.values():
            switch.ports |= dict.fromkeys(range(1, 12), True)
        self.discovery = Discovery(b"k" * 32, 1, [])
        self.policy = "policy: 1\n"
        self.registrar = Registrar(
            declared, self.driver.engine, self.discovery, lambda work, *given: work(*given)
        )
        self.taken: list[Any] = []

    def put(self, text: str, name: str | None = None) -> McpOutcome:
        return self.registrar.put(text, name, self.policy, self._take)

    def remove(self, name: str, force: bool = False) -> McpOutcome:
        return self.registrar.remove(name, force, self.policy, self._take)

    def _take(self, given: Any) -> None:
        self.taken.append(given)
        self.driver.give(given)

    @property
    def names(self) -> list[str]:
        return [mcp.name for mcp in self.driver.engine.site.mcps]


@pytest.fixture
def registering(tmp_path: Path) -> Registering:
    return Registering(tmp_path)


def wrong(outcome: McpOutcome) -> list[tuple[str, str]]:
    assert outcome.answer is McpAnswer.WRONG
    return [(one["path"], one["code"]) for one in outcome.findings]


@pytest.mark.row("D-6.7.7", "S-5")
def test_one_is_registered_kept_and_there_again_after_a_restart(registering, tmp_path):
    outcome = registering.put(FRESH)
    assert outcome == McpOutcome(McpAnswer.DONE, "fresh", [], True, 0)
    (given,) = registering.taken
    assert isinstance(given, McpsReplaced) and registering.names == ["core", "fresh"]
    assert registering.driver.engine.map.mcps.keys() == {mcp.id for mcp in given.mcps}
    assert registering.registrar.mcp("fresh")["capacity"] == {"sessions": 500}
    # Nothing is announced or believed at its port any more.
    heard = registering.discovery.heard(PortRef(4, 9), b"", 0.0)
    assert heard is Rejection.FORGED and PortRef(4, 9) in registering.discovery._attachments
    again = Registering(tmp_path, store=registering.store)
    assert again.names == ["core", "fresh"]
    assert again.driver.engine.site == registering.driver.engine.site
    assert again.remove("fresh").kept
    assert Registering(tmp_path, store=registering.store).names == ["core"]


@pytest.mark.row("N-5.4.0")
def test_the_source_mode_has_to_be_said(registering):
    text = "".join(line for line in FRESH.splitlines(True) if "source_mode" not in line)
    assert wrong(registering.put(text)) == [("source_mode", "missing-key")]
    assert not registering.taken and not registering.store.values


@pytest.mark.row("D-6.2d")
@pytest.mark.parametrize(
    "address", ["10.8.2.2", "192.168.1.2", "fd00:28::2"], ids=["own-private", "rfc1918", "ula"]
)
def test_a_public_address_that_is_private_is_refused(registering, address):
    text = FRESH.replace('10.8.2.2, "fd00:28::2"', f'"{address}"') + f'public_addresses: ["{address}"]\n'
    found = wrong(registering.put(text))
    assert ("public_addresses[0]", "not-public") in found and not registering.taken


@pytest.mark.parametrize(
    ("old", "new", "path", "code"),
    [
        ("s4:9", "s4:1", "port", "port-taken"),
        ("s4:9", "s4:2", "site.links[2].ports[0]", "link-port"),
        ("s4:9", "s4:99", "port", "unknown-port"),
        ("s4:9", "core:1", "port", "unknown-switch"),
        ("s4:9", "s9:1", "port", "unreachable-switch"),
        ("10.8.2.2", "10.8.0.2", "addresses[0]", "duplicate-address"),
        ("10.8.2.2", "10.1.0.7", "addresses[0]", "mcp-in-prefix"),
        ("10.8.2.2", "10.8.2.300", "addresses[0]", "bad-value"),
        ("transparent", "tranparent", "source_mode", "bad-value"),
        ("sessions: 500", "sessions: 0", "capacity.sessions", "out-of-range"),
        ("type:", "tipe:", "tipe", "unknown-key"),
        ("port: s4:9", "ports: {inside: s4:9, outside: s4:9}", "$", "mcp-ports"),
        ("name: fresh", "name: lte", "name", "duplicate-name"),
        ("name: fresh", "name: [a, b]", "name", "wrong-type"),
        ("transparent", "shared", "source_mode", "source-pool"),
        ("type: off-path", "type: off-path\naccess_networks: [nowhere]", "access_networks[0]", "unknown-access-network"),
        ("type: off-path", "type: off-path\npools: [10.1.0.0/25]", "pools[0]", "source-pool"),
    ],
)  # fmt: skip
def test_what_the_site_file_may_not_say_is_refused_by_its_field(registering, old, new, path, code):
    assert old in FRESH
    assert (path, code) in wrong(registering.put(FRESH.replace(old, new)))
    assert registering.names == ["core"] and not registering.taken and not registering.store.values


@pytest.mark.parametrize("text", ["", "- 1", "name: a\nname: b\n", "a: &x 1\nb: *x\n", "\x00", "{" * 40])
def test_what_cannot_be_read_is_refused(registering, text):
    outcome = registering.put(text)
    assert {path for path, _ in wrong(outcome)} == {"$"} and outcome.findings[0]["line"] >= 1


def test_a_port_that_leads_to_another_switch_by_discovery_is_refused(tmp_path):
    registering = Registering(tmp_path, SITE)
    registering.driver.engine.graph.add(PortRef(4, 9), PortRef(3, 7))
    assert wrong(registering.put(FRESH)) == [("port", "link-port")]
    assert wrong(registering.put(FRESH.replace("s4:9", "s77:1"))) == [("port", "unknown-switch")]


def test_a_name_is_taken_once_and_a_change_needs_it(registering):
    assert registering.put(FRESH.replace("fresh", "core")).answer is McpAnswer.TAKEN
    assert registering.put(FRESH, "fresh").answer is McpAnswer.UNKNOWN
    registering.put(FRESH)
    assert wrong(registering.put(FRESH.replace("fresh", "other"), "fresh")) == [("name", "bad-value")]
    assert registering.remove("none").answer is McpAnswer.UNKNOWN
    assert len(registering.taken) == 1


def test_a_change_is_taken_over_sessions_unless_it_makes_another_mcp_of_it(registering):
    core = SITE.split("mcps:\n")[1].strip().removeprefix("- {").removesuffix("}")
    text = "{" + core + "}"
    session = registering.driver.session()
    changed = registering.put(text.replace("10000", "20000"), "core")
    assert changed.answer is McpAnswer.DONE and not changed.kept and changed.sessions == 1
    assert registering.driver.engine.site.mcps[0].capacity_sessions == 20_000
    assert list(registering.driver.table) == [session]
    elsewhere = registering.put(text.replace("s3:1", "s3:9"), "core")
    assert (elsewhere.answer, elsewhere.sessions) == (McpAnswer.IN_USE, 1)
    assert list(registering.driver.table) == [session] and len(registering.taken) == 1


@pytest.mark.row("D-6.7.7")
def test_one_with_sessions_goes_only_by_force(registering):
    registering.put(FRESH)
    registering.driver.session()
    refused = registering.remove("core")
    assert (refused.answer, refused.sessions) == (McpAnswer.IN_USE, 1) and "core" in registering.names
    gone = registering.remove("core", force=True)
    assert (gone.answer, gone.sessions, gone.kept) == (McpAnswer.DONE, 1, False)
    registering.driver.later(0.1)
    registering.driver.later(6.0)  # its ends are told, and neither answers here
    assert registering.names == ["fresh"] and not list(registering.driver.table)
    assert registering.remove("fresh").answer is McpAnswer.DONE and registering.names == []
    assert registering.put(FRESH).answer is McpAnswer.DONE and registering.names == ["fresh"]


def test_what_the_policy_in_force_names_stays(registering):
    registering.put(FRESH)
    registering.policy = "policy: 1\nrules:\n  - {name: r, then: {action: proxy, mcps: [fresh]}}\n"
    assert wrong(registering.remove("fresh", force=True)) == [("policy", "unknown-mcp")]
    assert registering.names == ["core", "fresh"]


def test_the_site_file_has_the_last_word_after_a_restart(registering, tmp_path):
    registering.put(FRESH)
    line = "  - {name: fresh, type: off-path, port: s4:8, addresses: [10.8.7.2], source_mode: transparent}\n"
    again = Registering(tmp_path, SITE + line + LINKS, registering.store)
    assert again.names == ["core", "fresh"]
    assert str(again.driver.engine.site.mcps[1].inside) == "4:8"
    assert not again.put(FRESH.replace("s4:9", "s4:8"), "fresh").kept


def test_numbers_outlive_the_controller_whatever_the_file_says_then(registering, tmp_path):
    """A name that is first in the alphabet and has the hash of one that was there does not get its number."""
    twin = next(name for n in count() if stable_id(name := f"a{n}") == stable_id("core"))
    registering.declared.keep_numbers()
    assert registering.put(FRESH.replace("fresh", twin)).answer is McpAnswer.DONE
    core, other = registering.driver.engine.site.mcps
    assert core.id == stable_id("core") != other.id
    again = Registering(tmp_path, store=registering.store)
    assert again.driver.engine.map.by_waypoint == registering.driver.engine.map.by_waypoint
    assert [mcp.id for mcp in again.driver.engine.site.mcps] == [core.id, other.id]
    # The one that was there first goes: its number is nobody's.
    only = Registering(tmp_path, SITE.replace("name: core", "name: other") + LINKS, registering.store)
    assert {mcp.name: mcp.id for mcp in only.driver.engine.site.mcps}[twin] == other.id


@pytest.mark.parametrize(
    "text",
    [
        "[]", "{}", '{"format":2}', '{"format":1,"mcps":{},"waypoints":{"a@1:1":0}}',
        '{"format":1,"mcps":{"a":7,"b":7},"waypoints":{}}', '{"format":1,"mcps":{"a":true},"waypoints":{}}',
        '{"format":1,"mcps":{"a":65536},"waypoints":{}}', '{"format":1,"mcps":[],"waypoints":{}}',
    ],
)  # fmt: skip
def test_damaged_numbers_stop_the_start(tmp_path, text):
    (tmp_path / "site.yaml").write_text(SITE + LINKS)
    store = MemoryStore()
    store.write(NUMBERS, text)
    with pytest.raises(StateError, match=r"numbers\.json is none of ours"):
        declare(str(tmp_path / "site.yaml"), store)


@pytest.mark.parametrize("text", ["{}", "[1]", "no", '[{"type": "off-path"}]'])
def test_a_damaged_list_is_no_empty_one(tmp_path, text):
    (tmp_path / "site.yaml").write_text(SITE + LINKS)
    store = MemoryStore()
    store.write(KEPT, text)
    with pytest.raises(StateError, match="none of ours"):
        declare(str(tmp_path / "site.yaml"), store)


def test_a_kept_one_that_the_site_file_contradicts_stops_the_start_and_says_so(registering, tmp_path):
    registering.put(FRESH)
    (tmp_path / "site.yaml").write_text(SITE.replace("s3:1", "s4:9") + LINKS)
    declared, lines = declare(str(tmp_path / "site.yaml"), registering.store)
    assert declared is None and any("mcps.json" in line and "s4:9" in line for line in lines)
    assert json.loads(registering.store.values[KEPT])[0]["name"] == "fresh"
