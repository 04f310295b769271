"""The northbound of a real controller: TLS and mutual TLS, roles, streams, and a server that stays usable."""

import http.client
import json
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from steering.northbound.http.events import MAX_STREAMS
from steering.runtime.http.protocol import REQUEST_TIME
from tests.support.controller_process import LINKS, SITE, Running
from tests.support.fakes.rawswitch import RawSwitch
from tests.support.rest_calls import ask, certificates, event_stream, has_comment, steering, streams_open
from tests.support.waiting import wait_for


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with Running(tmp_path_factory.mktemp("rest")) as found:
        yield found


def mcp(running: Running) -> Any:
    return running.json("/v1/mcps/core")


def test_a_drain_takes_effect_and_so_does_its_end(running: Running) -> None:
    assert steering(running, "mcp", "drain", "core").returncode == 0
    wait_for(lambda: mcp(running)["health"] == "draining")
    assert steering(running, "mcp", "undrain", "core").returncode == 0


def spoken(running: Running, data: bytes) -> bytes:
    """All that the controller answers to raw bytes, until it hangs up."""
    url = urlsplit((running.state / "rest").read_text().strip())
    with socket.create_connection(("127.0.0.1", url.port or 0), timeout=30) as client:
        client.sendall(data)
        answer = b""
        with suppress(ConnectionResetError):  # it hung up with bytes of ours unread
            while part := client.recv(1 << 16):
                answer += part
    return answer


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"\x16\x03\x01\x02\x00\x01 \xff\xfe x\r\n\r\n", 400),
        (b"GET /v1/health HTTP/9.9\r\n\r\n", 505),
        (b"GET /" + b"a" * 5_000 + b" HTTP/1.1\r\n\r\n", 414),
        (b"GET / HTTP/1.1\r\nX: " + b"a" * 9_000 + b"\r\n\r\n", 431),
        (b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 500 + b"\r\n", 431),
        (b"POST /v1/whatif HTTP/1.1\r\nContent-Length: -5\r\n\r\n", 400),
        (b"POST /v1/whatif HTTP/1.1\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
    ],
)
def test_what_is_no_request_is_answered_by_a_problem_too(running: Running, sent: bytes, status: int) -> None:
    head, _, body = spoken(running, sent).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 %d " % status), head
    assert b"Content-Type: application/problem+json" in head
    assert json.loads(body)["status"] == status
    assert (
        '" 4' not in running.log() and "code 4" not in running.log()
    )  # Python's own lines, with our guest's words


def test_the_absolute_form_of_a_target_is_understood(running: Running) -> None:
    token = (running.state / "token").read_text().strip().encode()
    asked = b"GET http://controller/v1/health HTTP/1.1\r\nAuthorization: Bearer " + token
    assert spoken(running, asked + b"\r\nConnection: close\r\n\r\n").startswith(b"HTTP/1.1 200 ")


def test_a_client_that_drips_its_request_does_not_stay(running: Running) -> None:
    """Else a few of them take all places for ever: every byte would begin the time-out anew, and this never end."""
    url = urlsplit((running.state / "rest").read_text().strip())
    with socket.create_connection(("127.0.0.1", url.port or 0), timeout=10) as client:
        limit = time.monotonic() + 12 * REQUEST_TIME
        client.sendall(b"GET /v1/health HTTP/1.1\r\nX: ")
        client.settimeout(0.5)
        while time.monotonic() < limit:
            try:
                client.sendall(b"a")
                if not client.recv(100):
                    break
            except TimeoutError:
                continue
            except OSError:
                break
        assert time.monotonic() < limit


FRESH = {
    "name": "fresh", "type": "off-path", "port": "s4:9", "addresses": ["10.8.2.2"], "source_mode": "transparent",
}  # fmt: skip


@pytest.mark.row("D-6.7.7", "S-5", "N-5.4.0", "D-7.2")
def test_an_mcp_is_registered_while_it_runs_and_outlives_it(tmp_path: Path) -> None:
    with Running(tmp_path) as running:
        token = json.loads(
            steering(running, "token", "add", "--role", "mcp", "--mcp", "fresh", "--json").stdout
        )["token"]
        away = ask(running, "POST", "/v1/mcps", FRESH, token)
        assert (away.status, json.load(away)["errors"][0]["code"]) == (422, "unknown-switch")
        with RawSwitch(4, tuple(range(1, 10))).connect(running.port):
            wait_for(lambda: running.json("/v1/health")["switches"]["connected"] == 1)
            bare = ask(
                running, "POST", "/v1/mcps", {k: v for k, v in FRESH.items() if k != "source_mode"}, token
            )
            assert (bare.status, json.load(bare)["errors"][0]["path"]) == (422, "source_mode")
            assert ask(running, "POST", "/v1/mcps", FRESH, "x" * 43).status == 401
            assert ask(running, "POST", "/v1/mcps", FRESH | {"name": "other"}, token).status == 403
            assert ask(running, "POST", "/v1/mcps", FRESH, token).status == 201
            wait_for(lambda: [m["name"] for m in running.json("/v1/mcps")["mcps"]] == ["core", "fresh"])
        assert running.end()[0] == 0
        running.start()
        assert running.json("/v1/mcps/fresh")["declared"] == FRESH
        assert "is removed; kept over restarts" in steering(running, "mcp", "remove", "fresh").stdout
        assert steering(running, "mcp", "remove", "core").returncode == 0  # also the last one
        assert running.json("/v1/mcps")["mcps"] == []
        running.end()


@pytest.mark.row("S-14", "D-7.2")
def test_an_mcps_token_is_taken_while_it_runs_and_gone_when_revoked(running: Running) -> None:
    made = json.loads(steering(running, "token", "add", "--role", "mcp", "--mcp", "core", "--json").stdout)
    report = {"alive": True, "load": 0.5}
    assert ask(running, "PUT", "/v1/mcps/core/load", report, made["token"]).status == 202
    wait_for(lambda: mcp(running)["load"] == 0.5)
    assert ask(running, "POST", "/v1/mcps/core/drain", None, made["token"]).status == 403
    assert steering(running, "token", "revoke", made["id"]).returncode == 0
    assert ask(running, "PUT", "/v1/mcps/core/load", report, made["token"]).status == 401
    log = running.log()
    assert f"who={made['id']} role=mcp" in log
    assert made["token"] not in log


@pytest.mark.row("D-6.3e")
def test_access_information_reaches_an_mcps_stream(running: Running) -> None:
    stream = ask(running, "GET", "/v1/mcps/core/events")
    while b"drain" not in stream.readline():
        pass
    update = {"type": "wlan", "trust": "third-party", "sequence": 5}
    assert ask(running, "PUT", "/v1/access-networks/lte", update, If_Match="*").status == 200
    while not (line := stream.readline()).startswith(b"data:") or b'"third-party"' not in line:
        pass
    assert json.loads(line[5:])["sequence"] == 5
    assert ask(running, "PUT", "/v1/access-networks/lte", update, If_Match="*").status == 409
    stream.close()


def test_streams_up_to_the_bound_leave_the_rest_usable(tmp_path: Path) -> None:
    with ExitStack() as kept:
        running = kept.enter_context(Running(tmp_path))
        opened = [kept.enter_context(ask(running, "GET", "/v1/events")) for _ in range(MAX_STREAMS)]
        assert [stream.readline() for stream in opened] == [b"retry: 1000\n"] * MAX_STREAMS
        assert ask(running, "GET", "/v1/events").status == 503
        assert running.json("/v1/health")["policy_version"] >= 1
        assert running.metric("steering_event_streams") == MAX_STREAMS
        body = b"policy: 1\n# another\n"
        url = urlsplit((running.state / "rest").read_text().strip())
        connection = http.client.HTTPConnection("127.0.0.1", url.port or 0, timeout=30)
        token = (running.state / "token").read_text().strip()
        headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/yaml", "If-Match": "*"}
        connection.request("PUT", "/v1/policy", body=body, headers=headers)
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        for stream in opened:
            while stream.readline() != b"event: policy\n":
                pass
        assert running.end()[0] == 0


# ---- TLS ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pki")
    certificates(folder)
    return folder


def secured(folder: Path, pki: Path, *more: str) -> Running:
    cert = ["--rest-cert", str(pki / "server.crt"), "--rest-key", str(pki / "server.key")]
    return Running(folder, SITE + LINKS, *cert, *more)


def context(pki: Path, client: str = "") -> ssl.SSLContext:
    found = ssl.create_default_context(cafile=str(pki / "ca.pem"))
    if client:
        found.load_cert_chain(str(pki / f"{client}.pem"))
    return found


def test_tls_and_no_client_holds_up_another(tmp_path: Path, pki: Path) -> None:
    with secured(tmp_path, pki) as running:
        url = (running.state / "rest").read_text().strip()
        assert url.startswith("https://")
        # Some connect and say nothing: their handshakes are theirs to wait for.
        idle = [socket.create_connection(("127.0.0.1", urlsplit(url).port or 0)) for _ in range(5)]
        assert ask(running, "GET", "/v1/health", context=context(pki)).status == 200
        for one in idle:
            one.setblocking(False)
            with pytest.raises(BlockingIOError):
                one.recv(1)  # it still waits: nobody had to be given up first
        ran = steering(running, "status", "--ca-file", str(pki / "ca.pem"))
        assert (ran.returncode, ran.stderr) == (1, "") and "missing     switch s1" in ran.stdout
        ran = steering(running, "status")
        assert (ran.returncode, ran.stderr.count("\n")) == (1, 1)
        assert "no TLS with" in ran.stderr
        for rubbish in (b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\xff\xff" + bytes(600), b""):
            with socket.create_connection(("127.0.0.1", urlsplit(url).port or 0)) as plain:
                plain.sendall(rubbish)
        stream = ask(running, "GET", "/v1/events", context=context(pki))
        assert stream.readline() == b"retry: 1000\n"
        stream.close()
        assert running.end()[0] == 0
        assert "Traceback" not in running.log()
        for one in idle:
            one.close()


def test_a_stream_over_tls_whose_reader_hung_up_is_over_before_another_has_its_first_comment(
    tmp_path: Path, pki: Path
) -> None:
    with secured(tmp_path, pki) as running, event_stream(running, context(pki)) as stays:
        event_stream(running, context(pki)).close()
        wait_for(lambda: streams_open(running, context(pki)) == 1)
        assert not has_comment(stays)


@pytest.mark.row("S-14", "N-7.3b")
def test_mutual_tls_takes_only_clients_of_the_ca(tmp_path: Path, pki: Path) -> None:
    with secured(tmp_path, pki, "--rest-client-ca", str(pki / "ca.pem")) as running:
        assert ask(running, "GET", "/v1/health", context=context(pki, "client")).status == 200
        for other in ("", "fake"):
            with pytest.raises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
                ask(running, "GET", "/v1/health", context=context(pki, other))
        ran = steering(
            running, "status", "--ca-file", str(pki / "ca.pem"), "--client-cert", str(pki / "client.pem")
        )
        assert (ran.returncode, ran.stderr) == (1, "") and "missing     switch s1" in ran.stdout
        assert ask(running, "GET", "/v1/health", context=context(pki, "client")).status == 200
        assert "Traceback" not in running.log()


def test_a_certificate_that_is_replaced_is_shown_to_the_next_client(tmp_path: Path, pki: Path) -> None:
    for part in ("crt", "key"):
        (tmp_path / f"server.{part}").write_bytes((pki / f"server.{part}").read_bytes())
    with secured(tmp_path, tmp_path) as running:
        port = urlsplit((running.state / "rest").read_text().strip()).port or 0

        def is_shown(name: str) -> bool:
            told = ssl.get_server_certificate(("127.0.0.1", port), timeout=30)
            return ssl.PEM_cert_to_DER_cert(told) == ssl.PEM_cert_to_DER_cert(
                (pki / f"{name}.crt").read_text()
            )

        assert is_shown("server")
        (tmp_path / "server.crt").write_bytes((pki / "client.crt").read_bytes())
        wait_for(lambda: "cannot be used" in running.log())
        assert is_shown("server"), "its key is still to come"
        (tmp_path / "server.key").write_bytes((pki / "client.key").read_bytes())
        wait_for(lambda: is_shown("client"))
        assert running.end()[0] == 0


def test_a_certificate_that_cannot_be_used_is_one_line(tmp_path: Path, pki: Path) -> None:
    running = secured(tmp_path, pki, "--rest-client-ca", str(pki / "none.pem"))
    ran = subprocess.run(
        running.command, cwd=tmp_path, env=running.environment, capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stderr.count("\n")) == (2, 1)
    assert "--rest-client-ca" in ran.stderr
