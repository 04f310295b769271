"""The mapping log: what is written when, and who had an address and port at a time."""

import io
import json
from pathlib import Path
from typing import Any

import pytest

from steering.northbound.schema.binding_bodies import MappingReport
from steering.relay.addresses.mapping_log import LogError, MappingJournal, find, open_mapping_log
from steering.relay.addresses.source_pools import AddressMapping, SourcePools
from tests.support.full_disk import full_disk
from tests.support.relay_options import options
from tests.support.relay_sources import SERVER, shared


@pytest.mark.row("N-5.6.7a", "D-6.7.2")
def test_the_log_tells_who_used_an_address_and_port_at_a_time(tmp_path: Path) -> None:
    file = tmp_path / "mappings"
    log = MappingJournal(str(file), "core", True, io.StringIO())
    made = SourcePools(shared(ratio=2), lambda size: 7, log.observer)
    one = made.bind(("10.1.0.2", 5000), SERVER, 100.0)
    two = made.bind(("10.1.0.3", 5000), SERVER, 200.0)
    made.release(one, 300.0)
    three = made.bind(("10.1.0.4", 5000), SERVER, 400.0)  # takes the block that 10.1.0.2 had
    assert three.port == one.port
    log.close(made.mappings(), 500.0)
    lines = file.read_text().splitlines()
    assert json.loads(lines[0]) == {
        "mcp": "core", "internal": "10.1.0.2", "external": "192.0.2.1",
        "first_port": 1024, "last_port": 33279, "begin": 100.0, "end": None,
    }  # fmt: skip
    assert file.stat().st_mode & 0o777 == 0o600
    assert "10.9.0.2" not in file.read_text()

    def who(port: int, at: float) -> str | None:
        found = find(lines, "192.0.2.1", port, at)
        return None if found is None else found.internal

    assert who(one.port, 100.0) == who(one.port, 399.9) == "10.1.0.2"
    assert who(one.port, 450.0) == "10.1.0.4"
    assert who(two.port, 250.0) == "10.1.0.3" and who(two.port, 150.0) is None
    assert who(one.port, 99.0) is who(one.port, 501.0) is None
    assert find(lines, "192.0.2.2", one.port, 250.0) is None


def test_a_mapping_never_ends_before_it_began_though_the_clock_was_set_back() -> None:
    """A controller refuses such a line, and with it the whole batch that it is in."""
    stream, told = io.StringIO(), list[dict[str, Any]]()
    log = MappingJournal(None, "core", True, stream, told.append)
    log.ended(AddressMapping("10.1.0.2", "192.0.2.1", 1024, 2047, 0, 5_000.0), 100.0)
    assert [(row["begin"], row["end"]) for row in (json.loads(stream.getvalue()), *told)] == [
        (5_000.0, 5_000.0)
    ] * 2
    MappingReport.model_validate(told[0])


@pytest.mark.row("N-5.6.7b")
def test_a_switch_turns_it_off_and_on(tmp_path: Path) -> None:
    file = tmp_path / "mappings"
    log = MappingJournal(str(file), "core", True, io.StringIO())
    made = SourcePools(shared(ratio=1008), lambda size: 0, log.observer)
    made.bind(("10.1.0.1", 1), SERVER, 1.0)
    log.switch(False, made.mappings())
    size = file.stat().st_size
    for n in range(100):
        made.release(made.bind((f"10.1.1.{n}", 1), SERVER, 2.0), 2.0)
    assert file.stat().st_size == size > 0
    log.switch(True, made.mappings())
    assert len(file.read_text().splitlines()) == 1 + 101  # what there is now, so that none goes unrecorded
    made.bind(("10.1.2.1", 1), SERVER, 3.0)
    assert len(file.read_text().splitlines()) == 103


@pytest.mark.row("N-5.6.7b")
def test_it_is_on_by_itself_only_where_addresses_are_shared(tmp_path: Path) -> None:
    transparent = open_mapping_log(options())
    assert not transparent.enabled
    assert open_mapping_log(options(source=shared())).enabled
    assert not open_mapping_log(options(source=shared(), mapping_log="off")).enabled
    assert open_mapping_log(options(mapping_log=str(tmp_path / "log"))).enabled
    with pytest.raises(LogError, match="cannot open the mapping log"):
        open_mapping_log(options(mapping_log=str(tmp_path / "no" / "log")))


@pytest.mark.row("N-5.6.7a")
def test_destinations_are_written_for_each_session_when_asked_for() -> None:
    stream = io.StringIO()
    log = MappingJournal(None, "core", True, stream)
    mapping = AddressMapping("10.1.0.2", "192.0.2.1", 1024, 2047, 0, 5.0)
    log.session(mapping, 1030, "10.9.0.2:80", 6.0)
    row = json.loads(stream.getvalue())
    assert (row["first_port"], row["last_port"], row["destination"]) == (1030, 1030, "10.9.0.2:80")
    assert find([stream.getvalue()], "192.0.2.1", 1030, 7.0) is None


def test_a_relay_that_was_killed_is_ended_by_the_next_owner_of_the_block() -> None:
    def line(internal: str, begin: float, external: str = "192.0.2.1") -> str:
        return json.dumps(
            {"mcp": "core", "internal": internal, "external": external, "first_port": 1, "last_port": 65535,
             "begin": begin, "end": None}
        )  # fmt: skip

    found = find([line("10.1.0.2", 1.0), line("10.1.0.3", 5.0)], "192.0.2.1", 80, 9.0)
    assert found is not None and found.internal == "10.1.0.3"
    # A prefix, and an identifier under the subscriber's own prefix.
    found = find([line("fd00:1::/64", 1.0, "2001:db8::/64")], "2001:db8::7", 80, 9.0)
    assert found is not None and found.internal == "fd00:1::/64"
    row = line("fd00:1::2", 1.0, "::5354:1:0:7")
    assert find([row], "fd00:1::5354:1:0:7", 80, 9.0) is not None
    assert find([row], "fd00:2::5354:1:0:7", 80, 9.0) is None


def test_a_line_whose_parts_do_not_fit_each_other_costs_itself_alone() -> None:
    def line(internal: str, external: str) -> str:
        return json.dumps(
            {"mcp": "core", "internal": internal, "external": external, "first_port": 1, "last_port": 65535,
             "begin": 1.0, "end": None}
        )  # fmt: skip

    wrong = line("10.1.0.2", "::5354:1:0:7")  # an identifier is of IPv6, and the host is not
    skipped: list[int] = []
    lines = [wrong, line("fd00:1::2", "::5354:1:0:7")]
    found = find(lines, "fd00:1::5354:1:0:7", 80, 9.0, skipped.append)
    assert found is not None and found.internal == "fd00:1::2" and skipped == [1]


CORE = AddressMapping("10.1.0.2", "192.0.2.1", 1, 1023, 0, 5.0)
EDGE = AddressMapping("10.1.0.3", "192.0.2.1", 1024, 2047, 1, 6.0)


def held(file: Path) -> list[str | None]:
    """Who has the two blocks, and how many lines are no mapping."""
    skipped: list[int] = []
    found = [
        find(file.read_text().splitlines(), "192.0.2.1", port, 9.0, skipped.append) for port in (80, 1080)
    ]
    return [*(None if one is None else one.internal for one in found), str(len(skipped) // 2)]


@pytest.mark.row("N-5.6.7a")
@pytest.mark.parametrize("left", [0, 1, 40])
def test_a_line_that_a_full_disk_cut_off_costs_itself_alone(tmp_path: Path, left: int) -> None:
    file = tmp_path / "mappings"
    log = MappingJournal(str(file), "core", True, io.StringIO())
    log.begun(CORE)
    with full_disk(file.stat().st_size + left):
        log.begun(AddressMapping("10.1.0.9", "192.0.2.1", 2048, 3071, 2, 7.0))
    log.begun(EDGE)
    assert log.document() == {"enabled": True, "written": 2, "failed": 1}
    assert held(file) == ["10.1.0.2", "10.1.0.3", "1" if left else "0"]


@pytest.mark.row("N-5.6.7a")
def test_a_line_that_a_crash_cut_off_costs_itself_alone(tmp_path: Path) -> None:
    file = tmp_path / "mappings"
    MappingJournal(str(file), "core", True, io.StringIO()).begun(CORE)
    whole = file.read_text()
    for torn, wrong in (("", "0"), (whole[:30], "1")):
        file.write_text(whole + torn)
        MappingJournal(str(file), "core", True, io.StringIO()).begun(EDGE)
        assert held(file) == ["10.1.0.2", "10.1.0.3", wrong]
    assert "\n\n" not in file.read_text()


@pytest.mark.parametrize(
    "line", ["{", "[]", '{"mcp": 1}', '"destination"', "x" * 2000, "[" * 900, '{"first_port": 1e999}']
)
def test_a_line_that_is_no_mapping_is_named(line: str) -> None:
    with pytest.raises(LogError, match="line 2 is not a mapping"):
        find(["", line], "192.0.2.1", 80, 0.0)


def test_a_full_disk_stops_nothing() -> None:
    log = MappingJournal("/dev/full", "core", True, io.StringIO())
    log.begun(AddressMapping("10.1.0.2", "192.0.2.1", 1, 2, 0, 0.0))
    assert log.document() == {"enabled": True, "written": 0, "failed": 1}
