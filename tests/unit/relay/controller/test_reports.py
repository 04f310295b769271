"""What a relay brings to the controller by itself: against the real northbound, over a socket, and while none is there."""

import io
import json
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest

from steering.cli.main import main
from steering.relay.addresses.mapping_log import MappingJournal, open_mapping_log
from steering.relay.addresses.source_pools import AddressMapping, SourcePools
from steering.relay.controller import reports
from steering.relay.controller.reports import Reporter, reported
from steering.relay.log import Log
from steering.relay.model import ControllerAccess
from steering.store import credentials
from steering.store.mappings import file_of
from tests.support.fixed_view import TOKEN, token_of
from tests.support.mapping_desk import ANNA, NOW, Desk, line
from tests.support.relay_options import options
from tests.support.relay_sources import SERVER, shared
from tests.support.rest_server import serve
from tests.support.waiting import wait_for

Json = dict[str, Any]


def reporter(url: str, token: str | None = None, most: int = 10_000) -> Reporter:
    agent = ControllerAccess(url, "core", token or token_of("mcp"), None)
    return Reporter(agent, Log(True, False, io.StringIO()), most=most)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.fixture
def url(desk: Desk) -> Iterator[str]:
    yield from serve(desk.application)


@pytest.mark.row("N-5.6.7a", "N-5.4.2.1a")
def test_a_relays_mappings_reach_the_controller_by_themselves(desk: Desk, url: str) -> None:
    told = reporter(url)
    told.start()
    log = MappingJournal(None, "whatever", True, io.StringIO(), told.mapping)
    made = SourcePools(shared(ratio=2), lambda size: 7, log.observer)
    one = made.bind(("10.1.0.2", 5000), SERVER, NOW - 900)
    made.bind(("10.1.0.3", 5000), SERVER, NOW - 800)
    wait_for(lambda: told.reported == 2)
    assert desk.find(one.port, NOW - 700)[1]["subscriber"] == ANNA
    made.release(one, NOW - 600)
    log.close(made.mappings(), NOW - 500)  # what a relay that ends says of all
    told.stop()
    assert told.counters() == {
        "mappings_reported": 4, "mappings_refused": 0, "mappings_dropped": 0, "reports_failed": 0,
    }  # fmt: skip
    assert desk.find(one.port, NOW - 700)[0] == 200 and desk.find(one.port, NOW - 450)[0] == 404


def test_they_go_in_batches_of_so_many_and_so_many_bytes(
    desk: Desk, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sizes: list[int] = []
    told = reporter(url)
    send = told._send

    def counted(method: str, what: str, body: Json) -> None:
        assert len(json.dumps(body)) <= 1 << 16, "no controller takes more of an MCP"
        sizes.append(len(body["mappings"]))
        send(method, what, body)

    monkeypatch.setattr(told, "_send", counted)
    for number in range(1_200):
        told.mapping(line("10.1.0.2", 1024, NOW - number))
    told.start()
    wait_for(lambda: told.reported == 1_200)
    told.stop()
    assert sum(sizes) == 1_200 and 300 < max(sizes) <= 500 and len(sizes) <= 4
    monkeypatch.setattr(reports, "BATCH", 5)
    for number in range(12):
        told.mapping(line("10.1.0.2", 1024, NOW - number))
    assert [len(told._batch())] == [5]


@pytest.mark.row("N-5.6.7a")
def test_while_the_controller_is_away_a_bounded_number_waits_and_the_rest_is_counted(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "FIRST_WAIT_S", 0.05)
    monkeypatch.setattr(reports, "LONGEST_WAIT_S", 0.05)
    told = reporter("http://127.0.0.1:9", most=5)
    told.start()
    for number in range(8):
        told.mapping(line("10.1.0.2", 1024, NOW - number))
    wait_for(lambda: told.failed >= 2)
    assert (told.dropped, told.reported) == (3, 0)
    for url in serve(desk.application):
        told._options, told._channel = ControllerAccess(url, "core", token_of("mcp"), None), None
        wait_for(lambda: told.reported == 5)
    told.stop()
    assert len((desk.directory / file_of("core")).read_text().splitlines()) == 5


def test_what_the_controller_never_takes_is_not_told_for_ever(url: str, desk: Desk) -> None:
    told = reporter(url)
    told.mapping({"internal": "nonsense"})
    told.start()
    wait_for(lambda: told.refused == 1)
    told.mapping(line("10.1.0.2", 1024, NOW))
    wait_for(lambda: told.reported == 1)
    told.stop()


def test_a_wrong_token_is_tried_again(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reports, "FIRST_WAIT_S", 0.02)
    told = reporter(url, "no-such-token-" + "x" * 30)
    told.mapping(line("10.1.0.2", 1024, NOW))
    told.start()
    wait_for(lambda: told.failed >= 2)
    assert told.refused == told.reported == 0
    told.stop()


class Deaf(BaseHTTPRequestHandler):
    asked, over = Event(), Event()

    def do_POST(self) -> None:
        self.asked.set()
        self.over.wait(50)


def test_a_relay_that_ends_waits_for_no_controller() -> None:
    server = HTTPServer(("127.0.0.1", 0), Deaf)
    Thread(target=server.serve_forever, daemon=True).start()
    told = reporter(f"http://127.0.0.1:{server.server_port}")
    told.mapping(line("10.1.0.2", 1024, NOW))
    told.start()
    assert Deaf.asked.wait(30)
    told.stop()
    assert not Deaf.over.is_set(), "nobody has answered it yet"
    Deaf.over.set()
    server.shutdown()
    server.server_close()


def test_nothing_is_told_where_the_log_is_off() -> None:
    told: list[Json] = []
    mapping = AddressMapping("10.1.0.2", "192.0.2.1", 1024, 2047, 0, 5.0)
    open_mapping_log(options(source=shared(), mapping_log="off"), told.append).begun(mapping)
    assert told == []
    open_mapping_log(options(source=shared()), told.append).begun(mapping)
    assert [one["internal"] for one in told] == ["10.1.0.2"]


def test_a_destination_goes_without_its_port() -> None:
    assert reported({"destination": "10.9.0.2:80"}) == {"destination": "10.9.0.2"}
    assert reported({"destination": "[fd00::2]:80"}) == {"destination": "fd00::2"}
    assert reported({"internal": "10.1.0.2"}) == {"internal": "10.1.0.2"}


# -- slow servers ---------------------------------------------------------------------------------------------------


@pytest.mark.row("N-5.6.1d")
def test_slow_servers_are_seen_at_the_controller(
    desk: Desk, url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    wall = time.time()
    told = reporter(url)
    told.start()
    told.slow_servers([("10.9.0.2", 60.0), ("fd00:9::2", 86_400.0), ("10.9.0.3", -1.0)], wall)
    wait_for(lambda: desk.ask("GET", "/v1/mcps/core")[1]["slow_servers"])
    told.stop()
    assert desk.ask("GET", "/v1/mcps/core")[1]["slow_servers"] == [
        {"address": "fd00:9::2", "until": round(wall + 86_400, 1)},
        {"address": "10.9.0.2", "until": round(wall + 60, 1)},
    ]
    assert desk.ask("GET", "/v1/mcps/edge")[1]["slow_servers"] == []
    core, edge = (desk.ask("GET", f"/v1/mcps/{name}")[1]["health"] for name in ("core", "edge"))
    assert core == edge == "up"  # as one that says nothing at all: slow servers say nothing of health
    (tmp_path / "token").write_text(TOKEN + "\n")
    credentials.write_rest_url(tmp_path, url)
    assert main(["mcp", "show", "core", "--state-dir", str(tmp_path)]) == 0
    shown = capsys.readouterr().out
    assert (
        "servers that MPTCP makes slow, so that they get TCP: 2" in shown and "  fd00:9::2 until 20" in shown
    )
    assert main(["mcp", "show", "edge", "--state-dir", str(tmp_path)]) == 0
    assert "so that they get TCP: none" in capsys.readouterr().out
    assert main(["mcp", "show", "edge", "--json", "--state-dir", str(tmp_path)]) == 0
    assert json.loads(capsys.readouterr().out)["slow_servers"] == []
    assert main(["mcp", "show", "--state-dir", str(tmp_path)]) == 2
    assert main(["mcp", "show", "none", "--state-dir", str(tmp_path)]) == 1


def test_of_many_slow_servers_the_newest_are_told(desk: Desk, url: str) -> None:
    told = reporter(url)
    told.start()
    told.slow_servers([(f"10.9.{n // 256}.{n % 256}", 1000.0 + n) for n in range(300)], time.time())
    wait_for(lambda: desk.ask("GET", "/v1/mcps/core")[1]["slow_servers"])
    told.stop()
    found = desk.ask("GET", "/v1/mcps/core")[1]["slow_servers"]
    assert len(found) == 256 and found[0]["address"] == "10.9.1.43" and found[-1]["address"] == "10.9.0.44"


def test_a_controller_that_forgot_is_told_again(
    desk: Desk, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reports, "AGAIN_S", 0.3)
    told = reporter(url)
    told.start()
    told.slow_servers([("10.9.0.2", 600.0)], time.time())
    wait_for(lambda: desk.ask("GET", "/v1/mcps/core")[1]["slow_servers"])
    assert desk.ask("PUT", "/v1/mcps/core/load", {"slow_servers": []})[0] == 202
    wait_for(lambda: desk.ask("GET", "/v1/mcps/core")[1]["slow_servers"])
    told.stop()


@pytest.mark.parametrize(
    "servers",
    [
        [{"address": "nowhere", "until": 5}], [{"address": "10.9.0.2"}], [{"address": "10.9.0.2", "until": -1}],
        [{"address": "10.9.0.2", "until": 5, "why": "x"}], [{"address": "10.9.0.2", "until": 5}] * 257, "all",
    ],
)  # fmt: skip
def test_what_is_no_list_of_slow_servers_is_422(desk: Desk, servers: Any) -> None:
    assert desk.ask("PUT", "/v1/mcps/core/load", {"slow_servers": servers})[0] == 422
    assert desk.ask("GET", "/v1/mcps/core")[1]["slow_servers"] == []


def test_a_report_with_health_still_counts(desk: Desk) -> None:
    report = {"alive": True, "load": 0.5, "slow_servers": []}
    assert desk.ask("PUT", "/v1/mcps/core/load", report)[0] == 202
    shown = desk.ask("GET", "/v1/mcps/core")[1]
    assert (shown["health"], shown["load"]) == ("up", 0.5)
    assert "slow_servers" not in desk.ask("GET", "/v1/mcps")[1]["mcps"][0]
