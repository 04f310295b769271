"""The relay's /metrics: who may listen where, what is answered, and that nobody hostile stops the loop or another reader."""

import socket
import threading
import time
from collections.abc import Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from steering.cli.main import main
from steering.relay.counters import RelayCounters
from steering.relay.log import Log
from steering.relay.loop.accept_backoff import AcceptBackoff
from steering.relay.loop.poller import Poller
from steering.relay.model import Endpoint, OptionError, PlatformError
from steering.relay.observe import readers
from steering.relay.observe.metrics import text
from steering.relay.observe.metrics_server import MAX_HEAD, MetricsServer, parse_place, read_head
from tests.support.scarcity import no_descriptors
from tests.support.waiting import wait_for

GET = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n"


def test_only_loopback_unless_told_otherwise() -> None:
    assert parse_place("127.0.0.1:9105", False) == Endpoint("127.0.0.1", 9105)
    assert parse_place("9105", False) == parse_place(":9105", False) == Endpoint("127.0.0.1", 9105)
    assert parse_place("[::1]:9105", False) == Endpoint("::1", 9105)
    for far in ("0.0.0.0:9105", "[::]:9105", "192.0.2.1:9105"):
        with pytest.raises(OptionError, match="not a loopback address; say --metrics-anywhere"):
            parse_place(far, False)
        assert parse_place(far, True).port == 9105


@pytest.mark.parametrize(
    "bad",
    ["", "0", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536", "::1:9105", "[::1]", "[]:5", "host:5", "[fe80::1%1]:5",
     "127.0.0.1:\uff11", "127.0.0.1:5x"],
)  # fmt: skip
def test_bad_places(bad: str) -> None:
    with pytest.raises(OptionError, match="--metrics"):
        parse_place(bad, True)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--metrics"], "--metrics needs ADDRESS:PORT"),
        (["--metrics-anywhere"], "goes with --metrics"),
        (["--metrics", "0.0.0.0:9105"], "not a loopback address"),
    ],
)
def test_bad_options_are_2(words: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["relay", "--source-mode", "transparent", "--port", "443", *words]) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (GET, "200"), (b"GET /metrics?x=1 HTTP/1.0\r\n\r\n", "200"), (b"GET / HTTP/1.1\r\n\r\n", "404"),
        (b"POST /metrics HTTP/1.1\r\n\r\n", "405"), (b"HEAD /metrics HTTP/1.1\r\n\r\n", "405"),
        (b"GET /metrics\r\n\r\n", "400"), (b"GET  /metrics HTTP/1.1\r\n\r\n", "400"), (b"\x16\x03\x01\r\n\r\n", "400"),
        (b"\r\n\r\n", "400"), (b"GET /metrics HTTP/2\r\n\r\n", "400"), (b"x" * (MAX_HEAD + 1), "431"),
        (b"G\xff /metrics HTTP/1.1\r\n\r\n", "400"),
    ],
)  # fmt: skip
def test_answers(data: bytes, status: str) -> None:
    asked = read_head(data)
    assert asked is not None and asked.status.startswith(status)
    assert asked.told is (status == "200")


def test_half_a_head_is_no_request_yet() -> None:
    assert all(read_head(GET[:end]) is None for end in range(len(GET)))


class Serving:
    """A listener with its loop in a thread; the loop's turns are counted."""

    def __init__(self) -> None:
        self.poller = Poller()
        self.asked = 0
        self.turns = 0
        self.later = 0.0  # seconds that the clock of the loop is put forward
        self.counters = RelayCounters(accepted=7)
        self.door = MetricsServer(Endpoint("127.0.0.1", 0), self._tell, self._pause())
        self.place = self.door.sock.getsockname()
        self.over = False
        self.door.readers.watch(self.poller)
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _pause(self) -> AcceptBackoff:
        return AcceptBackoff("metrics", self.counters, Log(False, False))

    def _tell(self) -> str:
        self.asked += 1
        return text({"counters": self.counters.as_dict(), "kernel": {"MPTcpExtMPJoinAckRx": 2}})

    def _run(self) -> None:
        while not self.over:
            self.poller.turn(0.02)
            self.door.readers.expire(self.poller, time.monotonic() + self.later)
            self.turns += 1

    def close(self) -> None:
        self.over = True
        self._thread.join(30)
        self.door.close(self.poller)

    def get(self, data: bytes = GET) -> bytes:
        with socket.create_connection(self.place, 30) as sock:
            sock.sendall(data)
            return all_of(sock)


def all_of(sock: socket.socket) -> bytes:
    found = b""
    try:
        while part := sock.recv(65536):
            found += part
    except ConnectionResetError:
        pass
    return found


@pytest.fixture
def serving() -> Iterator[Serving]:
    made = Serving()
    yield made
    made.close()


def test_prometheus_reads_it(serving: Serving) -> None:
    head, _, body = serving.get().partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain; version=0.0.4")
    assert b"Content-Length: %d\r\n" % len(body) in head and b"Connection: close" in head
    found = {
        sample.name: sample.value
        for family in text_string_to_metric_families(body.decode())
        for sample in family.samples
    }
    assert found["steering_relay_accepted_total"] == 7 and found["steering_relay_kernel_total"] == 2


def test_what_is_no_such_request_is_refused_without_the_counters_being_looked_at(serving: Serving) -> None:
    assert serving.get(b"POST /metrics HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 405 ")
    assert b"Allow: GET\r\n" in serving.get(b"DELETE /metrics HTTP/1.1\r\n\r\n")
    assert serving.get(b"GET /etc/passwd HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 404 ")
    assert serving.get(b"x" * (3 * MAX_HEAD)).startswith((b"HTTP/1.1 431 ", b""))
    assert (serving.asked, serving.door.refused) == (0, 4)


def test_slow_and_silent_ones_hold_up_nobody(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "READER_TIMEOUT_S", 3_600.0)
    silent = [socket.create_connection(serving.place, 30) for _ in range(readers.MAX_READERS - 1)]
    silent[0].sendall(GET[:9])
    before = serving.turns
    assert serving.get().startswith(b"HTTP/1.1 200 ")
    with socket.create_connection(serving.place, 30) as last:
        wait_for(lambda: len(serving.door.readers) == readers.MAX_READERS)
        assert serving.get() == b""  # one too many
        serving.later = 3_600.0
        assert all_of(last) == b""  # and all of these were silent for too long
    for sock in silent:
        assert all_of(sock) == b""
        sock.close()
    serving.later = 0.0
    assert serving.get().startswith(b"HTTP/1.1 200 ")
    wait_for(lambda: serving.turns > before + 10)


def test_who_does_not_read_is_dropped(serving: Serving, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readers, "READER_TIMEOUT_S", 0.5)
    monkeypatch.setattr(serving.door, "_tell", lambda: "x" * 20_000_000)
    with socket.create_connection(serving.place, 30) as sock:
        sock.sendall(GET)
        wait_for(lambda: serving.door.refused == 1)
        assert len(all_of(sock)) < 20_000_000
    monkeypatch.setattr(readers, "READER_TIMEOUT_S", 30.0)
    monkeypatch.setattr(serving.door, "_tell", lambda: "x\n")
    assert serving.get().endswith(b"x\n")


@pytest.mark.own_process
def test_with_no_descriptor_left_a_reader_waits_and_the_loop_does_not_spin(serving: Serving) -> None:
    with socket.socket() as reader:
        reader.settimeout(30)
        with no_descriptors():
            before, began = serving.turns, time.monotonic()
            reader.connect(serving.place)
            reader.sendall(GET)
            time.sleep(1.0)
            wait_for(lambda: serving.counters.accept_paused)
            turns, paused = serving.turns - before, serving.counters.accept_paused
            passed = time.monotonic() - began
        assert turns <= 100 * passed
        assert 1 <= paused <= 6 * passed
        assert b"\nsteering_relay_accept_paused_total " in all_of(reader)


def test_a_place_that_is_taken_is_one_line(serving: Serving) -> None:
    with pytest.raises(PlatformError, match="cannot listen for --metrics at 127"):
        MetricsServer(Endpoint(*serving.place), str, serving._pause())
