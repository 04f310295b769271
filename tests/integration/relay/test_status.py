"""What a real relay tells: its counters to whoever scrapes them, its mappings to its controller, both while it serves."""

import json
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from wsgiref.simple_server import WSGIServer, make_server

import pytest
from prometheus_client.parser import text_string_to_metric_families

from steering.store.mappings import file_of
from tests.support.fixed_view import token_of
from tests.support.mapping_desk import Desk
from tests.support.relay_lab import SERVER, Echo, Lab, wait_for
from tests.support.rest_server import QuietHandler


class Threaded(socketserver.ThreadingMixIn, WSGIServer):
    """A stream of events holds up no other request."""

    daemon_threads = True
    block_on_close = False


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    built = Lab(tmp_path)
    yield built
    built.close()


def counted(lab: Lab) -> dict[str, float]:
    told = lab.run("mcp", "curl -s --max-time 30 http://127.0.0.1:9105/metrics")
    return {
        sample.name + sample.labels.get("counter", ""): sample.value
        for family in text_string_to_metric_families(told)
        for sample in family.samples
    }


def transfer(lab: Lab) -> None:
    with lab.connect(4) as host:
        host.sendall(b"x" * 1000)
        wait_for(lambda: host.recv(1 << 16))


@pytest.mark.row("N-5.4.2.1a", "N-5.6.7a")
@pytest.mark.parametrize("more", [(), ("--bindings",)], ids=["agent", "inbound"])
def test_counters_are_scraped_and_mappings_reported_while_it_serves(
    lab: Lab, tmp_path: Path, more: tuple[str, ...]
) -> None:
    desk = Desk(tmp_path)
    token = tmp_path / "mcp-token"
    token.write_text(token_of("mcp"))
    token.chmod(0o600)
    with lab.inside("mcp"):
        server = make_server("127.0.0.1", 0, desk.application, Threaded, QuietHandler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    echo = Echo(lab, 4)
    try:
        relay = lab.relay(
            "--pool", "192.0.2.0/30", "--sharing-ratio", "2", "--metrics", "127.0.0.1:9105",
            "--controller", f"http://127.0.0.1:{server.server_port}", "--mcp", "core", "--token-file", str(token), *more,
            modes=("shared",), prefixes=("10.9.0.0/24",),
        )  # fmt: skip
        assert ["agent" in relay.status(), "inbound" in relay.status()] == [not more, bool(more)]
        before = counted(lab)
        lab.run("srv", "ip route replace 192.0.2.0/30 via 10.9.0.1")
        transfer(lab)
        after = counted(lab)
        assert (before["steering_relay_accepted_total"], after["steering_relay_accepted_total"]) == (0, 1)
        assert after["steering_relay_kernel_totalMPTcpExtMPCapableACKRX"] == 1
        assert (
            lab.run("mcp", "curl -s -o /dev/null -w %{http_code} -X PUT http://127.0.0.1:9105/metrics")
            == "405"
        )
        wait_for(lambda: relay.counter("mappings_reported") == 1)
        address, port = echo.peers[0]
        status, found = desk.ask("GET", f"/v1/mappings?ip={address}&port={port}")
        assert (status, found["internal"], found["mcp"], found["end"]) == (200, "10.1.0.2", "core", None)
        relay.stop()  # what it had ends with it, and that is told too
        lines: list[dict[str, Any]] = [
            json.loads(line) for line in (tmp_path / file_of("core")).read_text().splitlines()
        ]
        assert [line["end"] is None for line in lines] == [True, False]
    finally:
        server.shutdown()
        server.server_close()


def test_who_may_not_listen_there_is_refused(lab: Lab) -> None:
    relay = lab.relay("--metrics", "127.0.0.1:9105")
    assert counted(lab)["steering_relay_accepted_total"] == 0
    relay.stop()
    far = lab.relay("--metrics", "0.0.0.0:9105", "--metrics-anywhere")
    assert "200" in lab.run("ue", "curl -s -o /dev/null -w %{http_code} http://10.1.0.1:9105/metrics")
    assert far.status()["counters"]["accepted"] == 0 and SERVER[4]
