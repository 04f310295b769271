"""The agent: what it reads from the controller, what it tells the kernel, and the bytes of that."""

import errno
import socket
import struct
import threading

import pytest

from steering.relay.controller.event_stream import EventStream, StreamError
from steering.relay.controller.subflow_intents import NO_WISH, PATIENCE, SubflowIntent, SubflowIntents, parse
from steering.relay.kernel.path_manager import KernelSubflow, attributes, end_body, priority_body
from steering.relay.model import ControllerAccess, OptionError
from steering.relay.options.values import parse_agent

TOLD = {
    "session": "3", "token": "92c53b6f", "host": "10.1.0.2", "host_port": 40000, "server": "10.9.0.2",
    "server_port": 80, "access": "lte", "type": "cellular", "backup": True, "allowed": True, "share": 0,
}  # fmt: skip
ONE = KernelSubflow(0x92C53B6F, "10.9.0.2", 80, "10.1.0.2", 40000)
BACKUP = SubflowIntent(backup=True)


@pytest.mark.row("D-1.m2", "N-5.6.1n")
def test_an_intent_is_read():
    assert parse(TOLD) == (ONE, BACKUP)
    assert parse({**TOLD, "session": "c2:17"}) == (ONE, BACKUP), "of a cluster"
    assert parse({**TOLD, "backup": False, "allowed": False, "share": 3})[1] == SubflowIntent(False, False, 3)


@pytest.mark.parametrize(
    "wrong",
    [
        {"token": "92c5"}, {"token": 7}, {"host": "lte"}, {"host": None}, {"host_port": 0}, {"share": 1001},
        {"server_port": 70000}, {"server_port": True}, {"share": -1}, {"host_port": "80"},
        {"host": "fd00::1"}, {"host": 1}, {"host": ["10.1.0.2"]},
        {"host": "fe80::1%x } ; flush ruleset", "server": "fd00::2"}, {"host": "fd00::1", "server": "fe80::2%eth0"},
        {"session": 17}, {"session": ""}, {"session": "c2:"}, {"session": ":17"}, {"session": "c2:c3:17"},
        {"session": "c" * 64 + ":17"}, {"session": "c2:" + "1" * 21}, {"session": "c2:17\n"}, {"session": "c2:\u0661"},
    ],
)  # fmt: skip
def test_what_is_no_intent_is_refused(wrong):
    with pytest.raises(ValueError):
        parse({**TOLD, **wrong})
    with pytest.raises(ValueError):
        parse({})


class Kernel:
    """Knows some subflows, and writes down what it is told."""

    def __init__(self, *known: KernelSubflow) -> None:
        self.known = set(known)
        self.told: list[tuple[KernelSubflow, SubflowIntent, SubflowIntent]] = []

    def __call__(self, subflow: KernelSubflow, before: SubflowIntent, wish: SubflowIntent) -> None:
        if subflow not in self.known:
            raise OSError(errno.EINVAL, "no such subflow")
        self.told.append((subflow, before, wish))


def test_a_wish_waits_for_its_subflow_and_is_told_once():
    kernel = Kernel()
    wishes = SubflowIntents(kernel)
    wishes.want(ONE, BACKUP, 0.0)
    wishes.try_again(0.1)
    assert (wishes.waiting, kernel.told) == (1, [])
    kernel.known.add(ONE)
    wishes.try_again(0.2)
    wishes.try_again(0.3)
    assert (wishes.waiting, len(wishes), kernel.told) == (0, 1, [(ONE, NO_WISH, BACKUP)])
    wishes.want(ONE, BACKUP, 0.4)
    assert wishes.waiting == 0
    wishes.want(ONE, NO_WISH, 0.5)
    wishes.try_again(0.5)
    assert kernel.told[1:] == [(ONE, BACKUP, NO_WISH)] and len(wishes) == 0


def test_patience_ends():
    wishes = SubflowIntents(Kernel())
    wishes.want(ONE, BACKUP, 0.0)
    wishes.try_again(PATIENCE - 0.1)
    assert wishes.waiting == 1
    wishes.try_again(PATIENCE)
    assert (wishes.waiting, wishes.given_up) == (0, 1)


def test_a_new_whole_set_takes_back_what_is_not_in_it():
    other = ONE._replace(remote_port=40001)
    kernel = Kernel(ONE, other)
    wishes = SubflowIntents(kernel)
    for subflow in (ONE, other):
        wishes.want(subflow, BACKUP, 0.0)
    wishes.try_again(0.0)
    wishes.begin(1.0)
    wishes.want(other, BACKUP, 1.0)
    wishes.try_again(1.0)
    assert kernel.told[2:] == [(ONE, BACKUP, NO_WISH)] and len(wishes) == 1


def test_wishes_are_bounded(monkeypatch):
    monkeypatch.setattr("steering.relay.controller.subflow_intents.MAX_WISHES", 2)
    wishes = SubflowIntents(Kernel())
    for port in (1, 2, 3):
        wishes.want(ONE._replace(remote_port=port), BACKUP, 0.0)
    assert (wishes.waiting, wishes.given_up) == (2, 1)


def test_the_kernel_is_told_in_its_own_bytes():
    body = dict(attributes(priority_body(ONE, True)))
    assert struct.unpack("=I", body[4]) == (0x92C53B6F,)
    local, remote = dict(attributes(body[1])), dict(attributes(body[6]))
    assert (local[1][:2], local[3], struct.unpack("=H", local[5][:2])) == (
        struct.pack("=H", socket.AF_INET), bytes([10, 9, 0, 2]), (80,),
    )  # fmt: skip
    assert struct.unpack("=I", local[6]) == (4,) and remote[3] == bytes([10, 1, 0, 2])
    assert struct.unpack("=I", dict(attributes(dict(attributes(priority_body(ONE, False)))[1]))[6]) == (0,)
    ending = dict(attributes(end_body(ONE)))
    assert dict(attributes(ending[1]))[4] == bytes(10) + b"\xff\xff" + bytes([10, 9, 0, 2])


def test_torn_attributes_end_the_walk():
    assert list(attributes(b"\x03\0\1\0")) == [] == list(attributes(b"\x09\0\1\0abcd"))


class Answering:
    """A listener that answers one connection with fixed bytes."""

    def __init__(self, answer: bytes) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.asked = b""
        self._thread = threading.Thread(target=self._serve, args=(answer,), daemon=True)
        self._thread.start()

    def _serve(self, answer: bytes) -> None:
        made, _ = self._socket.accept()
        self.asked = made.recv(4096)
        made.sendall(answer)
        made.close()
        self._socket.close()

    def stream(self) -> EventStream:
        return EventStream(ControllerAccess(self.url, "core one", "t0ken", None))

    def all(self) -> list:
        """Every event until the stream's end."""
        stream = self.stream()
        self._thread.join(30)
        found = []
        try:
            for event in stream.events():
                found.append(event)
        except StreamError:
            pass
        stream.close()
        return found


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"


@pytest.mark.row("D-6.3e")
def test_events_are_read():
    server = Answering(HEAD + b'retry: 1000\n\n:\n\nid: 1\nevent: subflows\ndata: {"all":true}\n\nevent: x')
    assert server.all() == [("subflows", {"all": True})]
    asked = server.asked.decode().split("\r\n")
    assert asked[0] == "GET /v1/mcps/core%20one/events HTTP/1.0" and "Authorization: Bearer t0ken" in asked


@pytest.mark.parametrize("answer", [b"", b"HTTP/1.0 403 Forbidden\r\n\r\n", b"hello\r\n\r\n", b"x" * 40_000])
def test_another_answer_is_an_error(answer):
    with pytest.raises(StreamError):
        Answering(answer).stream()


@pytest.mark.parametrize(
    "data", [b"data: {\n\n", b"data: []\n\n", b"x" * 2_000_000, b"data: " + b"[" * 99_999 + b"\n\n"]
)
def test_hostile_events_end_the_stream(data):
    server = Answering(HEAD + data)
    stream = server.stream()
    with pytest.raises(StreamError):
        while True:
            list(stream.events())
    stream.close()


def test_options(tmp_path):
    token = tmp_path / "token"
    token.write_text("abc\n")
    token.chmod(0o600)
    options = parse_agent("https://ctl:8443", "core", str(token), None)
    assert options == ControllerAccess("https://ctl:8443", "core", "abc", None)
    assert "abc" not in repr(options)
    assert parse_agent(None, None, None, None) is None
    wrong = [
        (None, "core", None, None), ("ftp://x", "core", str(token), None), ("http://", "core", str(token), None),
        ("http://x:99999", "core", str(token), None), ("http://x", None, str(token), None),
        ("http://a..b", "core", str(token), None),
        ("http://x", "core", None, None), ("http://x", "core", str(tmp_path / "none"), None),
    ]  # fmt: skip
    for given in wrong:
        with pytest.raises(OptionError):
            parse_agent(*given)
    token.write_text("a b\n")
    with pytest.raises(OptionError):
        parse_agent("http://x", "core", str(token), None)
