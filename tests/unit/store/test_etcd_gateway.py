"""etcd's gateway: what answers may be anybody, and whatever it says is bounded and refused by name."""

import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from steering.store.etcd import gateway as module
from steering.store.etcd.access import EtcdAccess, EtcdEndpoint, EtcdError, EtcdFault, parse_endpoints
from steering.store.etcd.gateway import EtcdGateway


class Impostor(HTTPServer):
    """Answers every request with the same bytes and status."""

    def __init__(self, data: bytes, status: int) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["Content-Length"]))
                self.send_response(status)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args: object) -> None:
                """Say nothing."""

        super().__init__(("127.0.0.1", 0), Handler)

    def gateway(self) -> EtcdGateway:
        return EtcdGateway(EtcdAccess((EtcdEndpoint("127.0.0.1", self.server_address[1]),)))


@pytest.fixture
def impostor(request: pytest.FixtureRequest) -> Iterator[Impostor]:
    server = Impostor(*request.param)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.mark.parametrize(
    ("impostor", "fault"),
    [
        ((b"hello", 200), EtcdFault.MALFORMED),
        ((b"[]", 200), EtcdFault.MALFORMED),
        ((b"[" * 100_000, 200), EtcdFault.MALFORMED),
        ((b"no such page", 404), EtcdFault.MALFORMED),
        ((b"<html>", 502), EtcdFault.UNREACHABLE),
        ((b'{"error": "no leader", "code": 14}', 503), EtcdFault.UNREACHABLE),
        ((b'{"error": "compacted", "code": 11}', 400), EtcdFault.COMPACTED),
        ((b'{"error": "database space exceeded", "code": 8}', 429), EtcdFault.NO_SPACE),
        ((b'{"error": "request is too large", "code": 3}', 400), EtcdFault.TOO_LARGE),
        ((b'{"error": ["x"], "code": {}}', 400), EtcdFault.REFUSED),
    ],
    indirect=["impostor"],
)
def test_answers_that_are_none_are_refused_by_name(impostor: Impostor, fault: EtcdFault) -> None:
    with pytest.raises(EtcdError) as refused:
        impostor.gateway().call("kv/range", {})
    assert refused.value.fault is fault and "\n" not in str(refused.value)


@pytest.mark.parametrize("impostor", [(b" " * 1_001, 200)], indirect=True)
def test_an_answer_is_read_up_to_its_bound(impostor: Impostor, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_ANSWER", 1_000)
    with pytest.raises(EtcdError) as refused:
        impostor.gateway().call("kv/range", {})
    assert refused.value.fault is EtcdFault.TOO_LARGE


def asked(connection: socket.socket) -> None:
    """Read one request of a connection."""
    head = b""
    while not head.endswith(b"{}"):  # the body
        head += connection.recv(65_536)


@pytest.mark.parametrize("is_kept", [False, True])
def test_an_endpoint_that_dies_over_a_request_may_have_carried_it_out(is_kept: bool) -> None:
    """Also where it had answered over the same connection before, and refuses the next connection."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listening.accept()
        if is_kept:
            asked(connection)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
        asked(connection)
        listening.close()
        connection.close()

    serving = threading.Thread(target=serve)
    serving.start()
    gateway = EtcdGateway(EtcdAccess((EtcdEndpoint("127.0.0.1", listening.getsockname()[1]),)))
    if is_kept:
        assert gateway.call("kv/range", {}) == {}
    with pytest.raises(EtcdError) as lost:
        gateway.call("kv/txn", {})
    serving.join()
    assert lost.value.fault is EtcdFault.UNREACHABLE and lost.value.unsure


def test_endpoints_are_urls() -> None:
    found = parse_endpoints("http://10.0.0.1, https://etcd2:2380/,http://[fd00::1]:1")
    assert found == (
        EtcdEndpoint("10.0.0.1", 2379), EtcdEndpoint("etcd2", 2380, secured=True), EtcdEndpoint("fd00::1", 1)
    )  # fmt: skip
    assert str(found[2]) == "http://[fd00::1]:1"


@pytest.mark.parametrize(
    "text",
    ["", "10.0.0.1:2379", "ftp://a", "http://", "http://a:x", "http://u:p@a", "http://a/v3", "http://a,"*17],
)  # fmt: skip
def test_what_is_no_url_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(ValueError, match="etcd"):
        parse_endpoints(text)


def test_certificates_that_cannot_be_used_are_refused_by_name() -> None:
    with pytest.raises(EtcdError, match="certificates"):
        EtcdGateway(EtcdAccess((EtcdEndpoint("127.0.0.1", 1, secured=True),), ca="/nowhere.pem"))
