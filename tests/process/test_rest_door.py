"""REST's door: crooked requests, strangers without end, wrong tokens, bodies too large, descriptors gone."""

import http.client
import json
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from steering.runtime.http.visitors import STRANGERS_OF_SOURCE
from tests.support.controller_process import Running
from tests.support.fakes.rawswitch import ECHO_REPLY, ECHO_REQUEST, RawSwitch, message
from tests.support.rest_calls import ask, event_stream, has_comment, steering, streams_open
from tests.support.waiting import wait_for

NEXT = b"GET /v1/health HTTP/1.1\r\nAuthorization: Bearer %s\r\nConnection: close\r\n\r\n"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with Running(tmp_path_factory.mktemp("rest")) as found:
        yield found


def token(running: Running) -> bytes:
    return (running.state / "token").read_text().strip().encode()


def client(running: Running) -> socket.socket:
    port = urlsplit((running.state / "rest").read_text().strip()).port
    return socket.create_connection(("127.0.0.1", port or 0), timeout=30)


def spoken(running: Running, data: bytes) -> bytes:
    """All that the controller answers to raw bytes, until it hangs up."""
    answer = b""
    with client(running) as connection:
        connection.sendall(data)
        try:
            while part := connection.recv(1 << 16):
                answer += part
        except ConnectionResetError:
            pass  # it hung up with bytes of ours unread
    return answer


@pytest.mark.parametrize(
    "lines",
    [
        b"Content-Length: 0\r\nContent-Length: 90\r\n",
        b"Content-Length : 90\r\n",
        b"Content-Length\r\n",
        b"Transfer-Encoding: xyz\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 90\r\n",
        b"X: a\r\n Content-Length: 90\r\n",
        b"X: a\nContent-Length: 90\r\n",
        b"X: a\rContent-Length: 90\r\n",
        b"X: " + b"a" * 8_190 + b"\r\n",
        b"X: a\r\n" * 101,
    ],
)
def test_after_a_crooked_head_nothing_is_run_as_a_request(running: Running, lines: bytes) -> None:
    known = b"Authorization: Bearer " + token(running) + b"\r\n"
    answer = spoken(
        running, b"POST /v1/whatif HTTP/1.1\r\n" + known + lines + b"\r\n" + NEXT % token(running)
    )
    assert answer.startswith((b"HTTP/1.1 400 ", b"HTTP/1.1 431 "))
    assert answer.count(b"HTTP/1.1 ") == 1 and b"Connection: close" in answer


def test_nothing_follows_a_body_in_chunks_either(running: Running) -> None:
    head = b"POST /v1/whatif HTTP/1.1\r\nAuthorization: Bearer %s\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = spoken(running, head % token(running) + b"0\r\n\r\n" + NEXT % token(running))
    assert answer.startswith(b"HTTP/1.1 411 ") and answer.count(b"HTTP/1.1 ") == 1


def test_two_sound_requests_in_one_write_are_both_answered(running: Running) -> None:
    first = (NEXT % token(running)).replace(b"Connection: close\r\n", b"")
    assert spoken(running, first + NEXT % token(running)).count(b"HTTP/1.1 200 ") == 2


def asks(running: Running) -> None:
    """An operator asks once, by a connection of its own."""
    assert ask(running, "GET", "/v1/health").status == 200


def is_over(connection: socket.socket) -> bool:
    """Whether a connection has ended or was answered by now."""
    connection.setblocking(False)
    try:
        connection.recv(1)
    except BlockingIOError:
        return False
    except OSError:
        pass  # it was reset
    return True


@pytest.mark.parametrize(
    "beginning",
    [
        b"",
        b"GET /v1/health HT",
        b"GET /v1/health HTTP/1.1\r\nX: ",
        b"POST /v1/whatif HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{",
    ],
)
def test_strangers_that_drip_take_each_others_places_and_none_of_an_operators(
    running: Running, beginning: bytes
) -> None:
    before = running.metric("steering_rest_refused_total", reason="too-many-strangers")
    strangers = []
    for _ in range(400):
        strangers.append(client(running))
        strangers[-1].sendall(beginning)
    asks(running)
    # Were nobody to give way, the first places would become free as those who have them time out, and the later ones of these
    # would have taken them just before the operator: that one would not be over for as long again.
    assert is_over(strangers[-STRANGERS_OF_SOURCE - 1]), "newer ones took its place before it timed out"
    for _ in range(19):
        asks(running)
    assert running.metric("steering_rest_refused_total", reason="too-many-strangers") > before
    for one in strangers:
        one.close()


def test_wrong_tokens_are_counted_delayed_and_told_once(running: Running) -> None:
    took = []
    before = running.metric("steering_rest_refused_total", reason="wrong-token")
    for _ in range(6):
        began = time.monotonic()
        assert ask(running, "GET", "/v1/health", token="x" * 43).status == 401
        took.append(time.monotonic() - began)
    assert all(seconds >= 0.1 * n for n, seconds in enumerate(took, 1)), (
        "each waits a tenth of a second longer than the one before"
    )
    assert running.metric("steering_rest_refused_total", reason="wrong-token") == before + 6
    assert running.log().count("a token that is none") == 1
    assert "xxx" not in running.log()


@pytest.mark.parametrize("how", ["ends", "ends-after-words", "resets"])
def test_a_stream_whose_reader_hung_up_is_over_before_another_has_its_first_comment(
    running: Running, how: str
) -> None:
    with event_stream(running) as stays:
        goes = [event_stream(running) for _ in range(3)]
        for one in goes:
            if how == "resets":
                one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            elif how == "ends-after-words":
                one.sendall(b"GET /v1/hea")
            one.close()
        wait_for(lambda: streams_open(running) == 1)
        assert not has_comment(stays)
    assert "Traceback" not in running.log()


def tells_of_a_switch(running: Running, stream: http.client.HTTPResponse) -> bool:
    """Whether a stream, which has to end, tells of a switch that connects now. It may tell of one of before that has gone."""
    wait_for(lambda: running.json("/v1/health")["switches"]["connected"] == 0)
    with RawSwitch(1) as good:
        good.connect(running.port).quiet()
        return b'"up":true' in stream.read().replace(b" ", b"")


def test_an_expired_token_is_refused_by_its_name_and_its_stream_ends(running: Running) -> None:
    wrong = running.metric("steering_rest_refused_total", reason="wrong-token")
    add = ("token", "add", "--role", "reader", "--expires", "10s", "--json")
    made = json.loads(steering(running, *add).stdout)
    assert ask(running, "GET", "/v1/health", token=made["token"]).status == 200
    stream = ask(running, "GET", "/v1/events", token=made["token"])
    assert stream.status == 200
    while ask(running, "GET", "/v1/health", token=made["token"]).status == 200:
        time.sleep(0.2)
    answer = ask(running, "GET", "/v1/health", token=made["token"])
    assert answer.status == 401
    assert 'error_description="the token has expired"' in (answer.getheader("WWW-Authenticate") or "")
    assert f"{made['id']} has expired" in json.loads(answer.read())["detail"]
    assert running.metric("steering_rest_refused_total", reason="expired-token") >= 2
    assert running.metric("steering_rest_refused_total", reason="wrong-token") == wrong
    assert running.log().count("a token that has expired") == 1
    # The next thing to be sent is not sent, and the stream ends. What happened before the token expired may be there.
    assert not tells_of_a_switch(running, stream)


def test_a_stream_ends_when_its_token_is_taken_back(running: Running) -> None:
    made = json.loads(steering(running, "token", "add", "--role", "reader", "--json").stdout)
    stream = ask(running, "GET", "/v1/events", token=made["token"])
    assert stream.readline() == b"retry: 1000\n"
    assert steering(running, "token", "revoke", made["id"]).returncode == 0
    assert not tells_of_a_switch(running, stream)


def test_an_mcp_cannot_hold_up_the_switches_by_a_large_description(running: Running) -> None:
    made = json.loads(steering(running, "token", "add", "--role", "mcp", "--mcp", "core", "--json").stdout)
    with RawSwitch(1) as good:
        good.connect(running.port).quiet()
        large = {"name": "core", "addresses": ["10.8.0.2"] * 100_000}
        try:
            status = ask(running, "PUT", "/v1/mcps/core", large, made["token"], If_Match="*").status
        except (ConnectionError, http.client.RemoteDisconnected):
            status = 413  # it hung up while we were still sending
        assert status == 413
        good.send(message(ECHO_REQUEST, 0xABCD))
        good.wait_for(lambda seen: seen.type == ECHO_REPLY and seen.xid == 0xABCD)


@pytest.mark.parametrize("descriptors", [64, 256])
def test_when_descriptors_ran_out_rest_answers_again(tmp_path: Path, descriptors: int) -> None:
    running = Running(tmp_path)
    running.command = ["sh", "-c", f'ulimit -n {descriptors}; exec "$@"', "sh", *running.command]
    with running:
        for _ in range(2):
            rush = [client(running) for _ in range(300)]
            rush += [socket.create_connection(("127.0.0.1", running.port)) for _ in range(300)]
            time.sleep(0.5)
            for one in rush:
                one.close()
        wait_for(lambda: ask(running, "GET", "/v1/health").status == 200)
        assert "Traceback" not in running.log()
