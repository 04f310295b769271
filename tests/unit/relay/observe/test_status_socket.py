"""Status socket, its reader, the kernel's counters, the log's bound."""

import errno
import io
import json
import os
import socket
import stat
import threading
import time
from pathlib import Path

import pytest

from steering.relay.counters import RelayCounters, parse_netstat
from steering.relay.kernel.delivery import count_unfinished
from steering.relay.log import BURST_PER_SECOND, Log
from steering.relay.loop.accept_backoff import PAUSE_S, QUIET_S, AcceptBackoff
from steering.relay.loop.poller import Poller
from steering.relay.model import Endpoint, PlatformError
from steering.relay.observe.readers import MAX_READERS, READER_TIMEOUT_S
from steering.relay.observe.status_socket import QueryError, StatusSocket, query, table
from tests.support.scarcity import no_descriptors

NETSTAT = """\
TcpExt: SyncookiesSent SyncookiesRecv
TcpExt: 1 2
MPTcpExt: MPCapableSYNRX MPJoinSynRx MismatchPortSynRx
MPTcpExt: 7 3 0
"""

DOCUMENT = {
    "version": 1,
    "sessions": [
        {
            "token": "92c53b6f",
            "client": ["fd00:1::2", 40000],
            "server": ["fd00:9::2", 5201],
            "mptcp": True,
            "server_mptcp": False,
            "dialling": False,
            "subflows": 2,
            "age_s": 1.5,
            "bytes_up": 10,
            "bytes_down": 20,
            "buffered_up": 0,
            "buffered_down": 0,
        }
    ],
    "counters": {"accepted": 1, "dial_failed": 0},
    "kernel": {"MPTcpExtMPJoinAckRx": 1, "MPTcpExtMismatchPortSynRx": 0},
}


def opened(path: str | Path, document: bytes = b"{}") -> StatusSocket:
    return StatusSocket(
        str(path), lambda _now: document, AcceptBackoff("status", RelayCounters(), Log(False, False))
    )


def serve(path: Path, document: bytes, answers: int = 1) -> threading.Thread:
    """Answer that many readers from another thread."""
    status, poller = opened(path, document), Poller()

    def loop() -> None:
        until = time.monotonic() + 30
        for _ in range(answers):
            status.sock.settimeout(30)
            status.readers.accept(poller, time.monotonic())
        while status.readers and time.monotonic() < until:
            poller.turn(0.02)
        status.close()

    thread = threading.Thread(target=loop, daemon=True)
    thread.start()
    return thread


def test_query_reads_a_document_longer_than_a_socket_buffer(tmp_path: Path) -> None:
    long = dict(DOCUMENT, sessions=DOCUMENT["sessions"] * 20_000)  # type: ignore[operator]
    path = tmp_path / "s.sock"
    thread = serve(path, json.dumps(long).encode())
    assert query(str(path)) == long
    thread.join(30)
    assert not path.exists()


@pytest.mark.parametrize("answer", [b"", b"nonsense", b"[]", b'{"version": 2}', b"\xff\xfe"])
def test_query_refuses_what_is_no_status(tmp_path: Path, answer: bytes) -> None:
    path = tmp_path / "s.sock"
    thread = serve(path, answer or b" ")
    with pytest.raises(QueryError, match="not a relay's status"):
        query(str(path))
    thread.join(30)


def test_socket_is_private_and_a_live_one_is_not_taken_over(tmp_path: Path) -> None:
    path = str(tmp_path / "s.sock")
    first = opened(path)
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    with pytest.raises(PlatformError, match="another relay answers there"):
        opened(path)
    first.sock.close()  # as a killed relay leaves it: the file stays, nobody listens
    opened(path).close()


def test_socket_path_that_is_a_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("precious")
    with pytest.raises(PlatformError, match="another file is there"):
        opened(path)
    assert path.read_text() == "precious"


def test_slow_readers_are_bounded_and_dropped(tmp_path: Path) -> None:
    status, poller = opened(tmp_path / "s.sock", bytes(4 << 20)), Poller()
    readers = []
    for _ in range(MAX_READERS + 1):
        reader = socket.socket(socket.AF_UNIX)
        reader.connect(status.path)
        readers.append(reader)
        status.readers.accept(poller, now=100.0)
    assert readers[-1].recv(1) == b"", "one reader too many is sent away"
    poller.turn(0)
    status.readers.expire(poller, now=100.0 + READER_TIMEOUT_S + 1)
    poller.close_pending()
    for reader in readers[:-1]:
        got = 0
        while part := reader.recv(1 << 20):
            got += len(part)
        assert got < 4 << 20
        reader.close()
    readers[-1].close()
    status.close()


@pytest.mark.own_process
def test_with_no_descriptor_left_a_reader_waits_and_the_loop_does_not_spin(tmp_path: Path) -> None:
    counters, poller = RelayCounters(), Poller()
    log = io.StringIO()
    pause = AcceptBackoff("status", counters, Log(False, False, log))
    status = StatusSocket(str(tmp_path / "s.sock"), lambda _now: b"{}", pause)
    status.readers.watch(poller)
    with socket.socket(socket.AF_UNIX) as reader:
        reader.connect(status.path)
        with no_descriptors():
            until, turns = time.monotonic() + 0.5, 0
            while time.monotonic() < until:
                poller.turn(0.1)
                status.readers.expire(poller, time.monotonic())
                turns += 1
        assert turns <= 15
        assert 1 <= counters.accept_paused <= 0.5 / PAUSE_S + 1 and log.getvalue().count("accept paused") == 1
        status.readers.expire(poller, time.monotonic() + PAUSE_S)
        poller.turn(1.0)
        poller.turn(1.0)
        assert reader.recv(9) == b"{}"
    status.close()


def test_a_scarcity_is_logged_once_and_the_next_one_again() -> None:
    counters, log = RelayCounters(), io.StringIO()
    pause = AcceptBackoff("hosts", counters, Log(False, False, log))
    full = OSError(errno.ENFILE, "Too many open files in system")
    assert not pause.begins(OSError(errno.ECONNABORTED, "gone"), 1.0) and not pause.ends(1e9)
    for now in (1.0, 2.0, 3.0, 3.0 + QUIET_S):
        assert pause.begins(full, now) and not pause.ends(now)
        assert pause.ends(now + PAUSE_S) and not pause.ends(now + PAUSE_S), "each pause ends once"
    assert counters.accept_paused == 4
    said = "relay: accept paused listener=hosts reason=Too many open files in system"
    assert log.getvalue().splitlines() == [said] * 2


def test_table_shows_token_and_only_counters_that_count() -> None:
    text = table(DOCUMENT)
    assert "92c53b6f" in text and "[fd00:1::2]:40000" in text
    assert "counters: accepted=1\n" in text and "MismatchPortSynRx" not in text


@pytest.mark.parametrize(("plain", "said"), [(0, False), (3, True)])
def test_table_says_how_many_servers_get_plain_tcp(plain: int, said: bool) -> None:
    text = table(dict(DOCUMENT, servers={"slow": [], "plain_count": plain}))
    assert ("without MPTCP, so TCP: 3 servers" in text) is said


def test_netstat() -> None:
    assert parse_netstat(NETSTAT) == {
        "MPTcpExtMPCapableSYNRX": 7,
        "MPTcpExtMPJoinSynRx": 3,
        "MPTcpExtMismatchPortSynRx": 0,
    }
    assert parse_netstat("") == {} == parse_netstat("MPTcpExt: MPCapableSYNRX\n")


def test_unfinished_connections_are_those_that_wait_for_acknowledgements() -> None:
    def line(local: int, remote: int, state: str) -> str:
        return f"   0: 0200090A:{local:04X} 0200010A:{remote:04X} {state} 00000000:00000000 00:00000000"

    head = "  sl  local_address rem_address   st tx_queue rx_queue\n"
    states = ["04", "09", "0B", "01", "05", "06", "07", "0A"]
    text = head + "\n".join(line(5201, 40000, state) for state in states)
    assert count_unfinished(text, (5201).__eq__) == 4
    assert count_unfinished(text, (40000).__eq__) == 4
    assert count_unfinished(text, (80).__eq__) == 0
    assert count_unfinished("", (80).__eq__) == 0


def test_log_lines_that_peers_cause_are_bounded() -> None:
    stream = io.StringIO()
    log = Log(as_json=True, verbose=False, stream=stream)
    for _ in range(10_000):
        log.peer_event("refused", client=Endpoint("fd00::1", 7))
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert BURST_PER_SECOND <= len(lines) < 10 * BURST_PER_SECOND
    assert lines[0]["event"] == "refused" and lines[0]["component"] == "relay"
