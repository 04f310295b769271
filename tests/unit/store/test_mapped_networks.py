"""A search for a shared address opens the logs of those MCPs alone that can hold it, and misses none that does."""

from collections.abc import Iterator
from dataclasses import replace
from ipaddress import IPv6Address, ip_address, ip_network
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steering.model.mapping import Mapping
from steering.store import mapped_networks, private_file
from steering.store import mappings as mapping_files
from steering.store.interface import StateError
from steering.store.mapped_networks import ANY, network_of
from steering.store.mappings import MappingStore, file_of, networks_of
from tests.support.full_disk import full_disk

NOW = 1_000.0


def mapping(mcp: str, external: str, internal: str = "10.1.0.2") -> Mapping:
    return Mapping(mcp, internal, external, 1_024, 2_047, NOW - 10, None, "s")


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The logs that were opened."""
    found: list[str] = []

    def opens(path: Path, *bounds: int) -> Iterator[str]:
        if path.exists():
            found.append(path.name)
        return private_file.lines_of(path, *bounds)

    monkeypatch.setattr(mapping_files, "lines_of", opens)
    return found


def networks(folder: Path, mcp: str) -> list[str]:
    return (folder / networks_of(file_of(mcp))).read_text().split()


def test_logs_of_other_mcps_are_not_opened_also_after_a_restart(tmp_path: Path, opened: list[str]) -> None:
    store = MappingStore(tmp_path, lambda: NOW)
    mcps = [f"mcp{number}" for number in range(50)]
    for number, mcp in enumerate(mcps):
        store.append([mapping(mcp, f"192.0.{number}.1")])
    for one in (store, MappingStore(tmp_path, lambda: NOW)):
        opened.clear()
        assert one.find("192.0.7.1", 1_100, None) == mapping("mcp7", "192.0.7.1")
        assert opened == [file_of("mcp7")]
    # Its address is another one's now: both are read.
    store.append([replace(mapping("mcp9", "192.0.7.1"), begin=NOW - 5)])
    opened.clear()
    found = store.find("192.0.7.1", 1_100, None)
    assert found is not None and found.mcp == "mcp9" and sorted(opened) == [file_of("mcp7"), file_of("mcp9")]
    opened.clear()
    assert store.find("198.51.100.1", 1_100, None) is None and not opened


def test_logs_that_an_earlier_version_began_are_always_opened(tmp_path: Path, opened: list[str]) -> None:
    store = MappingStore(tmp_path, lambda: NOW)
    store.append([mapping("core", "192.0.2.1")])
    (tmp_path / networks_of(file_of("core"))).unlink()
    store = MappingStore(tmp_path, lambda: NOW)
    store.append([mapping("core", "198.51.100.1")])
    assert store.find("192.0.2.1", 1_100, None) == mapping("core", "192.0.2.1")
    assert store.find("203.0.113.1", 1_100, None) is None and len(opened) == 2


def test_logs_that_are_brought_from_elsewhere_while_the_controller_runs_are_opened(tmp_path: Path) -> None:
    """The file of networks is left out, as the manual says: it is not made again as if it told of all logs."""
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    MappingStore(elsewhere, lambda: NOW).append([mapping("core", "192.0.2.1")])
    store = MappingStore(tmp_path, lambda: NOW)
    store.append([mapping("core", "198.51.100.1")])
    (elsewhere / file_of("core")).rename(tmp_path / f"{file_of('core')}.1")
    (tmp_path / networks_of(file_of("core"))).unlink()
    store.append([mapping("core", "203.0.113.1")])
    assert store.find("192.0.2.1", 1_100, None) == mapping("core", "192.0.2.1")
    assert networks(tmp_path, "core") == [ANY]


@pytest.mark.parametrize("how", ["open to others", "no network", "no text"])
def test_a_damaged_file_of_networks_costs_time_and_no_answer(tmp_path: Path, how: str) -> None:
    store = MappingStore(tmp_path, lambda: NOW)
    store.append([mapping("core", "192.0.2.1")])
    path = tmp_path / networks_of(file_of("core"))
    if how == "open to others":
        path.chmod(0o644)
    else:
        path.write_bytes(b"192.0.\n" if how == "no network" else b"\xff")
    assert store.find("192.0.2.1", 1_100, None) == mapping("core", "192.0.2.1")
    later = MappingStore(tmp_path, lambda: NOW)
    later.append([mapping("core", "198.51.100.1")])
    path.chmod(0o600)
    for external in ("192.0.2.1", "198.51.100.1"):
        assert later.find(external, 1_100, None) == mapping("core", external)


def test_networks_are_few_and_bounded_and_written_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mapped_networks, "MOST", 4)
    store = MappingStore(tmp_path, lambda: NOW)
    store.append([mapping("core", f"192.0.2.{number}") for number in range(200)])
    assert networks(tmp_path, "core") == ["192.0.2.0/24"]
    before = (tmp_path / networks_of(file_of("core"))).stat().st_ino
    store.append([mapping("core", "192.0.2.250")])
    assert (tmp_path / networks_of(file_of("core"))).stat().st_ino == before
    store.append([mapping("core", f"192.0.{number}.1") for number in range(5)])
    assert networks(tmp_path, "core") == [ANY]
    assert store.find("192.0.4.1", 1_100, None) == mapping("core", "192.0.4.1")


def test_nothing_is_logged_of_a_network_that_could_not_be_noted(tmp_path: Path) -> None:
    store = MappingStore(tmp_path, lambda: NOW)
    store.append([mapping("core", "192.0.2.1")])
    with full_disk(0), pytest.raises(StateError):
        store.append([mapping("core", "198.51.100.1")])
    assert store.find("198.51.100.1", 1_100, None) is None
    store.append([mapping("core", "198.51.100.1")])
    assert store.find("198.51.100.1", 1_100, None) == mapping("core", "198.51.100.1")


V4, V6 = st.ip_addresses(v=4), st.ip_addresses(v=6)
IDENTIFIER = st.integers(0, (1 << 64) - 1)


@given(V4, st.integers(0, 32), V6, st.integers(0, 128), IDENTIFIER, IDENTIFIER)
def test_what_a_mapping_contains_is_in_the_network_that_is_noted(
    four: object, length4: int, six: object, length6: int, identifier: int, host: int
) -> None:
    cases = [
        (str(ip_network((str(four), length4), strict=False)), str(four), "10.1.0.2"),
        (str(ip_network((str(six), length6), strict=False)), str(six), "fd00::2"),
    ]
    prefix = int(ip_address(str(six))) >> 64 << 64
    cases.append(
        (str(IPv6Address(identifier)), str(IPv6Address(prefix | identifier)), str(IPv6Address(prefix | host)))
    )
    for external, asked, internal in cases:
        one = mapping("core", external, internal)
        if one.covers(asked, 1_100):
            noted = network_of(one)
            assert noted == ANY or ip_address(asked) in ip_network(noted)
