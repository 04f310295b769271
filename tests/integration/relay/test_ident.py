"""The relay asks real hosts who they are, by port 113, once for each source address (RFC 1413, N-5.3c)."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from tests.support.relay_lab import HOST, SERVER, Lab, wait_for


@pytest.fixture
def lab(tmp_path: Path) -> Iterator[Lab]:
    built = Lab(tmp_path)
    yield built
    built.close()


class Identd(threading.Thread):
    """Says of every connection that `name` opened it, and keeps what it was asked; silent where `name` is empty."""

    def __init__(self, lab: Lab, name: str) -> None:
        super().__init__(daemon=True)
        self._listener = lab.tcp("ue", 4, 0)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._listener.bind(("0.0.0.0", 113))
        self._listener.listen(16)
        self._listener.settimeout(None)
        self.name_given = name
        self.asked: list[tuple[str, str]] = []  # of which of its addresses, and what
        self._kept: list[socket.socket] = []

    def run(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._kept.append(connection)
            own = connection.getsockname()[0]
            with suppress(OSError):
                query = connection.recv(100).decode().strip()
                self.asked.append((own, query))
                if self.name_given:
                    connection.sendall(f"{query} : USERID : UNIX : {self.name_given}\r\n".encode())

    def end(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for connection in self._kept:
            connection.close()
        self.join(5)


@contextmanager
def identd(lab: Lab, name: str) -> Iterator[Identd]:
    server = Identd(lab, name)
    server.start()
    try:
        yield server
    finally:
        server.end()


def echoing(lab: Lab) -> socket.socket:
    listener = lab.server(4)

    def serve() -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=answer, args=(connection,), daemon=True).start()

    def answer(connection: socket.socket) -> None:
        with connection, suppress(OSError):
            while data := connection.recv(100):
                connection.sendall(data)

    threading.Thread(target=serve, daemon=True).start()
    return listener


def said(lab: Lab, source: str = "") -> socket.socket:
    """A session that has carried something."""
    sock = lab.tcp("ue", 4)
    if source:
        sock.bind((source, 0))
    sock.connect((SERVER[4], 5201))
    sock.sendall(b"hello")
    assert sock.recv(100) == b"hello"
    return sock


@pytest.mark.row("N-5.3c")
def test_one_query_for_three_sessions_of_two_subflows_and_one_more_for_another_address(
    lab: Lab, tmp_path: Path
) -> None:
    (tmp_path / "ids").write_text("alice\n")
    relay = lab.relay("--ident", str(tmp_path / "ids"))
    with identd(lab, "alice") as server, echoing(lab):
        sessions = [said(lab) for _ in range(3)]
        wait_for(lambda: lab.counters("mcp").get("MPTcpExtMPJoinAckRx", 0) >= 3)
        assert [own for own, _ in server.asked] == [HOST[4]]
        port = sessions[0].getsockname()[1]
        assert server.asked[0][1].replace(" ", "") == f"{port},5201"
        sessions.append(said(lab, "10.2.0.2"))
        assert [own for own, _ in server.asked] == [HOST[4], "10.2.0.2"]
        assert relay.counter("ident_asked") == 2 and relay.counter("refused_ident") == 0
        for session in sessions:
            session.close()


@pytest.mark.row("N-5.3c")
@pytest.mark.parametrize("name", ["mallory", ""])
def test_who_is_not_to_be_served_or_says_nothing_is_closed_and_no_server_hears_of_it(
    lab: Lab, tmp_path: Path, name: str
) -> None:
    (tmp_path / "ids").write_text("alice\n")
    relay = lab.relay("--ident", str(tmp_path / "ids"))
    with identd(lab, name), lab.server(4) as listener:
        listener.settimeout(0.2)
        with pytest.raises((ConnectionResetError, BrokenPipeError)):  # the reset may come before what is said
            sock = lab.connect(4)
            sock.sendall(b"hello")
            assert sock.recv(1)  # an orderly end would be wrong too
            raise AssertionError("it was served")
        with pytest.raises(TimeoutError):
            listener.accept()
        wait_for(lambda: relay.counter("refused_ident") == 1)


@pytest.mark.row("N-5.3c")
def test_a_host_without_ident_is_refused_at_once(lab: Lab, tmp_path: Path) -> None:
    (tmp_path / "ids").write_text("alice\n")
    relay = lab.relay("--ident", str(tmp_path / "ids"))
    with pytest.raises(ConnectionResetError):
        lab.connect(4).recv(1)  # the reset may be quicker than connect()'s return
    wait_for(lambda: relay.counter("refused_ident") == 1)
