"""The socket of the etcd of one process: what is no request is refused by name and counted, and connections are bounded."""

import json
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress

import pytest

from steering.store.etcd import gateway_server
from steering.store.etcd.access import EtcdAccess, EtcdError, EtcdFault, parse_endpoints
from steering.store.etcd.gateway import EtcdGateway
from steering.store.etcd.gateway_server import GatewayRefusal
from steering.store.etcd.keys import Keys
from tests.support.cluster_members import eventually
from tests.support.served_etcd import ServedEtcd


@pytest.fixture
def etcd() -> Iterator[ServedEtcd]:
    with ServedEtcd() as served:
        yield served


def connected(etcd: ServedEtcd) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    made.connect(str(etcd.path))  # without a time limit: it waits for its place to be accepted
    made.settimeout(30)
    return made


def answer(etcd: ServedEtcd, request: bytes) -> bytes:
    """All that comes until the server closes the connection."""
    with connected(etcd) as talk:
        talk.sendall(request)
        parts = []
        while part := talk.recv(65_536):
            parts.append(part)
        return b"".join(parts)


def post(path: str, body: bytes, length: int | None = None) -> bytes:
    size = len(body) if length is None else length
    return f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: {size}\r\n\r\n".encode() + body


@pytest.mark.parametrize(
    ("request_", "why"),
    [
        (post("/v3/kv/put", b"no JSON"), GatewayRefusal.MALFORMED),
        (post("/v3/kv/put", b"[]"), GatewayRefusal.MALFORMED),
        (post("/v3/kv/put", b"[" * 100_000), GatewayRefusal.MALFORMED),
        (post("/other", b"{}"), GatewayRefusal.MALFORMED),
        (b"POST /v3/kv/put HTTP/1.1\r\nHost: x\r\n\r\n", GatewayRefusal.MALFORMED),
        (b"POST /v3/kv/put HTTP/1.1\r\nContent-Length: -1\r\n\r\n", GatewayRefusal.MALFORMED),
        (post("/v3/kv/put", b"", 1 << 29), GatewayRefusal.TOO_LARGE),
    ],
)
def test_what_is_no_request_is_refused_and_ends_the_connection(
    etcd: ServedEtcd, request_: bytes, why: GatewayRefusal
) -> None:
    head, _, body = answer(etcd, request_).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400") and json.loads(body)["code"] == 3
    assert dict(etcd.server.refused) == {why: 1}
    assert Keys(etcd.gateway(), "/a/").put("a", "1") == 2, "others are served"


@pytest.mark.parametrize(
    "rubbish", [b"\x00\x01\x02\n\n", b"GET / HTTP/1.1\r\n\r\n", b"x" * 100_000 + b"\r\n"]
)
def test_rubbish_ends_its_connection(etcd: ServedEtcd, rubbish: bytes) -> None:
    with ExitStack() as stack:
        talk = stack.enter_context(connected(etcd))
        talk.sendall(rubbish)
        with suppress(ConnectionResetError, BrokenPipeError):  # where bytes of it were left unread
            while talk.recv(65_536):
                pass
    assert Keys(etcd.gateway(), "/a/").put("a", "1") == 2


def test_connections_that_say_nothing_are_bounded_and_end(
    etcd: ServedEtcd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gateway_server._GatewayRequest, "timeout", 0.5)
    with ExitStack() as stack:
        silent = [stack.enter_context(connected(etcd)) for _ in range(gateway_server.MOST_CONNECTIONS + 5)]
        eventually(lambda: etcd.server.refused[GatewayRefusal.TOO_MANY] >= 5)
        assert all(one.recv(1) == b"" for one in silent), (
            "those for whom there is no place, and those that said nothing"
        )
    assert Keys(etcd.gateway(), "/a/").put("a", "1") == 2


def test_one_that_does_not_listen_any_more_is_unreachable(etcd: ServedEtcd) -> None:
    access = EtcdAccess(parse_endpoints(f"unix:{etcd.path}-of-nobody"))
    with pytest.raises(EtcdError, match="last tried unix:/") as refused:
        Keys(EtcdGateway(access), "/a/").get("a")
    assert refused.value.fault is EtcdFault.UNREACHABLE
