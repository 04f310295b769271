"""/v1/mappings: what MCPs report is kept where the policy says so, and the right subscriber is found."""

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from steering.cli.main import main
from steering.model.mapping import Mapping, holder
from steering.model.policy import Logging, Toggle
from steering.model.source import SourceMode, SourceModes
from steering.northbound.resources.mappings import MOST_IN_MEMORY, RecentMappings
from steering.northbound.schema.answers import SCHEMAS
from steering.store import credentials, private_file
from steering.store import mappings as mapping_files
from steering.store.mappings import COMMON_FILE, MappingStore, file_of
from tests.support.fixed_view import TOKEN, token_of
from tests.support.mapping_desk import ANNA, BERT, NOW, Desk, Json, line
from tests.support.rest_schema import faults
from tests.support.rest_server import serve


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.mark.row("N-5.6.7a")
def test_the_right_subscriber_at_the_time_and_port(desk: Desk) -> None:
    assert desk.report(line("10.1.0.2", 1024, NOW - 900), line("10.1.0.3", 1536, NOW - 900)) == (
        202,
        {"name": "core", "kept": 2},
    )
    desk.report(line("10.1.0.2", 1024, NOW - 900, NOW - 600), line("10.1.0.3", 1024, NOW - 500))
    status, found = desk.find(1100, NOW - 700)
    assert (status, found["subscriber"], found["internal"]) == (200, ANNA, "10.1.0.2")
    assert not list(faults(SCHEMAS["Mapping"], found, SCHEMAS))
    assert desk.find(1100)[1]["subscriber"] == BERT
    assert desk.find(1600, NOW - 700)[1]["subscriber"] == BERT
    assert desk.find(1100, NOW - 550)[0] == 404  # between the two
    assert desk.find(1100, NOW - 901)[0] == 404
    assert desk.find(4000)[0] == 404
    text = (desk.directory / file_of("core")).read_text()
    assert "anna" not in text and "bert" not in text


@pytest.mark.row("N-5.6.7b")
def test_switched_off_live_nothing_is_kept_whatever_is_reported(desk: Desk) -> None:
    def hundred() -> list[Json]:
        return [line("10.1.0.2", 1024, NOW - number) for number in range(100)]

    desk.report(*hundred())
    size = desk.size
    assert size > 0
    desk.policy(Logging(Toggle.OFF))
    assert desk.report(*hundred())[1]["kept"] == 0
    assert desk.size == size
    desk.policy(Logging(Toggle.ON))
    assert desk.report(*hundred())[1]["kept"] == 100
    assert desk.size > size


def test_by_default_only_an_mcp_that_shares_addresses_is_logged(desk: Desk) -> None:
    assert desk.report(line("10.1.0.2", 1024, NOW), mcp="edge")[1]["kept"] == 0
    assert desk.size == 0
    desk.policy(Logging(Toggle.ON))
    assert desk.report(line("10.1.0.2", 1024, NOW), mcp="edge")[1]["kept"] == 1


@pytest.mark.row("N-5.6.7a")
def test_destinations_are_kept_only_where_they_are_asked_for(desk: Desk) -> None:
    told = line("10.1.0.2", 1024, NOW, destination="10.9.0.2")
    assert desk.report(told)[1]["kept"] == 0
    desk.policy(Logging(destinations=True))
    assert desk.report(told)[1]["kept"] == 1
    assert desk.find(1030)[1]["destination"] == "10.9.0.2"


def test_an_mcp_reports_for_itself_and_only_an_operator_asks(desk: Desk) -> None:
    assert desk.report(line("10.1.0.2", 1024, NOW), token=token_of("mcp"))[0] == 202
    assert desk.report(line("10.1.0.2", 1024, NOW), mcp="edge", token=token_of("mcp"))[0] == 403
    assert desk.report(line("10.1.0.2", 1024, NOW), mcp="none")[0] == 404
    for role in ("reader", "mcp", "device"):
        assert desk.ask("GET", "/v1/mappings?ip=192.0.2.1&port=1024", token=token_of(role))[0] == 403


@pytest.mark.parametrize(
    "change",
    [
        {"external": "nowhere"}, {"internal": "10.1.0.2/8"}, {"last_port": 1000}, {"first_port": -1},
        {"end": 5.0}, {"begin": "yesterday"}, {"note": "unheard of"},
    ],
)  # fmt: skip
def test_what_is_no_mapping_is_422(desk: Desk, change: Json) -> None:
    assert desk.report(line("10.1.0.2", 1024, NOW) | change)[0] == 422
    assert desk.size == 0


@pytest.mark.parametrize(
    "query",
    ["", "ip=192.0.2.1", "port=5", "ip=x&port=5", "ip=192.0.2.1&port=65536", "ip=192.0.2.1&port=1&time=nan"],
)
def test_a_question_that_cannot_be_answered_is_400(desk: Desk, query: str) -> None:
    assert desk.ask("GET", f"/v1/mappings?{query}")[0] == 400


def test_a_batch_is_bounded(desk: Desk) -> None:
    assert desk.report(*[line("10.1.0.2", 1024, NOW)] * 1001)[0] == 422
    assert desk.report()[0] == 422


def mapping(number: int) -> Mapping:
    return Mapping("core", "10.1.0.2", "192.0.2.1", number, number, float(number), None)


def test_files_are_bounded_and_the_oldest_are_given_up(tmp_path: Path) -> None:
    store = MappingStore(tmp_path, lambda: NOW, most=2_000, files=3)
    for number in range(100):
        store.append([mapping(number)])
    files = sorted(tmp_path.glob(f"{file_of('core')}*"))
    assert len(files) == 3 and all(path.stat().st_size <= 2_000 for path in files)
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in tmp_path.iterdir())
    assert store.find("192.0.2.1", 99, None) == mapping(99)
    assert store.find("192.0.2.1", 0, None) is None


def test_half_a_line_hides_no_other(tmp_path: Path) -> None:
    store = MappingStore(tmp_path, lambda: NOW)
    store.append([mapping(1)])
    with (tmp_path / file_of("core")).open("a") as file:
        # A crash ended the last line.
        file.write('{"mcp":"core","internal"\n{"unheard":"of"}\n{"mcp":"core","inte')
    store.append([mapping(2)])
    assert store.find("192.0.2.1", 1, None) == mapping(1)
    assert store.find("192.0.2.1", 2, None) == mapping(2)


def test_an_mcp_takes_no_room_from_what_others_reported(tmp_path: Path) -> None:
    other = replace(mapping(1), mcp="edge", external="192.0.2.9")
    for store in (MappingStore(tmp_path, lambda: NOW, most=2_000, files=3), RecentMappings()):
        store.append([other])
        for number in range(100):
            store.append([mapping(number)] * (MOST_IN_MEMORY // 100))
        assert store.find("192.0.2.9", 1, None) == other
        assert store.find("192.0.2.1", 99, None) == mapping(99)


def test_what_an_earlier_version_kept_for_all_mcps_is_found(tmp_path: Path) -> None:
    store = MappingStore(tmp_path, lambda: NOW)
    store.append([mapping(1)])
    (tmp_path / file_of("core")).rename(tmp_path / f"{COMMON_FILE}.1")
    store.append([mapping(2)])
    (tmp_path / file_of("core")).rename(tmp_path / COMMON_FILE)
    store.append([mapping(3)])
    assert [store.find("192.0.2.1", port, None) for port in (1, 2, 3)] == [mapping(n) for n in (1, 2, 3)]


@pytest.mark.row("N-5.6.7a")
def test_an_mcp_reports_its_own_addresses_alone(desk: Desk) -> None:
    """Else it could say that another MCP's address was whose it likes, for each time that is asked for."""
    core = token_of("mcp")
    own = line("10.1.0.2", 1024, NOW - 900)
    assert desk.report(own, token=core)[1]["kept"] == 1
    others = ("192.0.2.16", "192.0.0.0/16", "10.8.1.2", "10.9.0.2", "2001:db8::1", "0.0.0.0/0")
    foreign = [line("10.1.0.3", 1024, NOW - 100) | {"external": external} for external in others]
    told = desk.report(*foreign, line("10.1.0.2", 1536, NOW - 900), token=core)
    assert told == (202, {"name": "core", "kept": 1}), "the line beside them counts"
    assert desk.ask("GET", "/v1/mappings?ip=10.9.0.2&port=1024")[0] == 404
    assert desk.metric('steering_mappings_refused_total{mcp="core",reason="other-address"}') == len(others)
    for external in ("192.0.2.0/28", "10.8.0.2", "fd00:8::2"):
        assert desk.report(own | {"external": external}, token=core)[1]["kept"] == 1
    assert desk.report(*foreign)[1]["kept"] == len(others), "an operator brings what it likes"


def test_of_identifiers_under_hosts_own_prefixes_those_of_its_pool_are_its_own(tmp_path: Path) -> None:
    modes = SourceModes(None, SourceMode.IPV6_PREFIX)
    desk = Desk(tmp_path, modes=modes, pools=("::5354:0:0:0/80",))
    desk.policy(Logging(Toggle.ON))
    told = line("fd00:1::2", 1, NOW)
    for external, kept in (("::5354:0:0:7", 1), ("::5355:0:0:7", 0), ("fd00:1::5354:0:0:7", 0)):
        assert desk.report(told | {"external": external}, token=token_of("mcp"))[1]["kept"] == kept, external


def test_an_end_that_was_never_told_is_the_next_ones_begin_and_prefixes_hold_addresses() -> None:
    first = Mapping("core", "fd00:1::/64", "fd00:c:1::/64", 0, 65535, 10.0, None)
    second = replace(first, internal="fd00:2::/64", begin=20.0)
    assert holder([first, second], "fd00:c:1::9", 80, 15.0) == first
    assert holder([first, second], "fd00:c:1::9", 80, 25.0) == second
    assert holder([first], "fd00:c:2::9", 80, 15.0) is None
    own = Mapping(
        "core", "fd00:1::2", "::beef", 0, 65535, 10.0, None
    )  # an identifier under the subscriber's /64
    assert holder([own], "fd00:1::beef", 80, 15.0) == own
    assert holder([own], "fd00:2::beef", 80, 15.0) is None


@pytest.fixture
def state_dir(tmp_path: Path, desk: Desk) -> Iterator[Path]:
    path = tmp_path / "state"
    path.mkdir(mode=0o700)
    (path / "token").write_text(TOKEN + "\n")
    for url in serve(desk.application):
        credentials.write_rest_url(path, url)
        yield path


def test_the_command_brings_a_log_and_finds_in_it(
    state_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "relay.jsonl"
    log.write_text("".join(json.dumps(line("10.1.0.2", 1024, NOW - n)) + "\n" for n in range(700)))
    run: Callable[..., int] = lambda *words: main(["mappings", *words, "--state-dir", str(state_dir)])  # noqa: E731
    assert run("report", "core", str(log)) == 0
    assert capsys.readouterr().out == "700 mappings are kept\n"
    assert run("find", "192.0.2.1", "1024") == 0
    had = capsys.readouterr().out
    assert had.startswith(f"10.1.0.2, subscriber {ANNA}, had 192.0.2.1 ports 1024-1535 of core from 20")
    assert run("find", "192.0.2.1", "1024", "--at", "2001-01-01T00:00:00Z") == 1
    assert run("find", "192.0.2.1", "1024", "--at", "soon") == 2
    assert run("find", "192.0.2.9", "1024") == 1
    assert run("report", "core", str(tmp_path / "none")) == 2


def test_a_line_that_was_cut_off_is_told_and_keeps_no_other_from_being_found_or_brought(
    state_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = tmp_path / "relay.jsonl"
    whole = json.dumps(line("10.1.0.2", 1024, NOW - 900))
    log.write_text(f"{whole}\n{whole[:40]}\n{whole}\n")
    assert main(["mappings", "find", "192.0.2.1", "1024", "--log", str(log), "--at", str(NOW)]) == 0
    told = capsys.readouterr()
    assert told.out.startswith("10.1.0.2 had") and "1 line is no mapping (line 2)" in told.err
    assert main(["mappings", "report", "core", str(log), "--state-dir", str(state_dir)]) == 0
    told = capsys.readouterr()
    assert told.out == "2 mappings are kept\n" and "1 line is no mapping (line 2)" in told.err
    log.write_text(whole[:40])
    assert main(["mappings", "find", "192.0.2.1", "1024", "--log", str(log)]) == 2
    assert main(["mappings", "report", "core", str(log), "--state-dir", str(state_dir)]) == 2


def test_the_files_are_read_where_that_holds_up_nobody(desk: Desk) -> None:
    desk.report(line("10.1.0.2", 1024, NOW - 900))
    assert desk.apart == []
    assert desk.find(1100, NOW - 700)[0] == 200
    assert desk.apart == ["find"]


@pytest.mark.parametrize("wanted", [1, 2, 3])
def test_files_that_move_on_while_they_are_read_are_not_missed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, wanted: int
) -> None:
    """Another thread appends meanwhile, and each of its lines begins a new file."""
    store = MappingStore(tmp_path, lambda: NOW, most=300, files=4)
    for number in range(4):
        store.append([of_host(number)])
    assert len(list(tmp_path.glob(f"{file_of('core')}*"))) == 4
    opened: list[Path] = []

    def opens(path: Path, *bounds: int) -> Iterator[str]:
        lines = private_file.lines_of(path, *bounds)
        opened.append(path)
        if len(opened) == 2:
            store.append([of_host(9)])
        return lines

    monkeypatch.setattr(mapping_files, "lines_of", opens)
    found = store.find("192.0.2.1", 1024 + wanted, None)
    assert len(opened) == 4 and found is not None and found.internal == f"10.1.0.{wanted}"


def of_host(number: int) -> Mapping:
    port = 1024 + number
    return Mapping("core", f"10.1.0.{number}", "192.0.2.1", port, port, NOW - 10, None, "s" * 40)
