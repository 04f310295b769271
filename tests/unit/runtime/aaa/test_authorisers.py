"""Authorisers asked over real sockets of this machine: answers, nonsense, silence, and how many at a time."""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import StringIO
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyrad.dictionary import Dictionary
from pyrad.packet import AccessChallenge, AccessReject, AuthPacket

from steering.core.inputs import Authorised
from steering.core.outputs import Authorise
from steering.model.aaa import Aaa, HttpAaa, RadiusAaa
from steering.model.authorisation import Authorizer, Verdict
from steering.runtime.aaa import radius
from steering.runtime.aaa.authorisers import IN_FLIGHT, QUEUED, Authorisers, authorisers
from steering.runtime.aaa.http_aaa import MOST, http_authorizer, read_answer
from steering.runtime.aaa.radius import radius_authorizer
from steering.store.interface import StateError

SECRET = "a-shared-secret"
ALLOW, DENY, NO_OPINION, ERROR = Verdict


PATIENCE = 30.0  # seconds, of who is to be answered
BRIEFLY = 0.5  # of who is not


def question(
    who: Authorizer = Authorizer.HTTP, number: int = 7, subscriber: str = "", seconds: float = PATIENCE
) -> Authorise:
    return Authorise(number, who, ip_address("10.1.0.2").packed, "lte", subscriber, seconds)


def private(path: Path, text: str) -> str:
    path.write_text(text)
    path.chmod(0o600)
    return str(path)


# ---- HTTP -----------------------------------------------------------------------------------------


class Hook(ThreadingHTTPServer):
    """Answers as it is told and keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.said: tuple[int, bytes] = (200, b'{"allow": true}')
        self.location = ""
        self.asked: list[tuple[dict[str, Any], str]] = []


class Handler(BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append((body, self.headers.get("Authorization", "")))
        status, data = self.server.said
        self.send_response(status)
        if self.server.location:
            self.send_header("Location", self.server.location)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture
def hook() -> Iterator[Hook]:
    with Hook() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.row("N-5.3.0", "N-5.3d")
def test_the_hook_is_asked_about_a_source_and_believed(hook, tmp_path):
    url = f"http://127.0.0.1:{hook.server_port}/authorise"
    ask = http_authorizer(HttpAaa(url, private(tmp_path / "token", "t0ken")))
    hook.said = (200, b'{"allow": true, "class": "gold", "ttl": 60}')
    assert ask(question(subscriber="p5eudonym")) == Authorised(7, ALLOW, "gold", 60.0)
    hook.said = (200, b'{"allow": false}')
    assert ask(question()) == Authorised(7, DENY)
    asked = {"subscriber": "p5eudonym", "address": "10.1.0.2", "access_network": "lte"}
    assert hook.asked == [(asked, "Bearer t0ken"), (asked | {"subscriber": None}, "Bearer t0ken")]


def test_a_hook_that_fails_redirects_or_is_gone_has_no_answer(hook):
    ask = http_authorizer(HttpAaa(f"http://127.0.0.1:{hook.server_port}/"))
    for status in (500, 403, 204):
        hook.said = (status, b"")
        assert ask(question()).verdict is ERROR
    hook.said, hook.location = (302, b""), f"http://127.0.0.1:{hook.server_port}/elsewhere"
    before = len(hook.asked)
    assert ask(question()).verdict is ERROR and len(hook.asked) == before + 1
    hook.said, hook.location = (200, b"x" * (MOST + 1)), ""
    assert ask(question()).verdict is ERROR
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        gone = http_authorizer(HttpAaa(f"http://127.0.0.1:{nobody.getsockname()[1]}/"))
        assert gone(question()).verdict is ERROR


@pytest.mark.parametrize(
    "data",
    [
        b"", b"[]", b"true", b'{"allow": 1}', b'{"allow": "yes"}', b"{}", b'{"allow": true, "ttl": -1}',
        b'{"allow": true, "ttl": true}', b'{"allow": true, "class": 3}', b"[" * 4000,
        b'{"allow": false, "allow": true}', b'{"allow": true, "ttl": NaN}', b'{"allow": true, "class": "' + b"x" * 64 + b'"}',
    ],
)  # fmt: skip
def test_whatever_is_not_exactly_an_answer_is_an_error(data):
    assert read_answer(1, data).verdict is ERROR


@given(st.binary(max_size=200))
def test_no_answer_raises(data):
    assert read_answer(1, data).verdict in Verdict


def test_no_opinion_is_an_answer():
    assert read_answer(1, b'{"allow": null}') == Authorised(1, NO_OPINION)


# ---- RADIUS ---------------------------------------------------------------------------------------


@contextmanager
def radius_server(*answers: Any) -> Iterator[tuple[int, list[AuthPacket]]]:
    """Answers each packet with what the next of `answers` makes of it; None is silence."""
    line = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    line.bind(("127.0.0.1", 0))
    line.settimeout(30.0)
    asked: list[AuthPacket] = []

    def serve() -> None:
        for answer in answers:
            try:
                data, peer = line.recvfrom(4096)
            except OSError:
                return
            request = AuthPacket(
                secret=SECRET.encode(), dict=Dictionary(StringIO(radius._DICTIONARY)), packet=data
            )
            asked.append(request)
            said = answer(request) if answer else None
            if said is not None:
                line.sendto(said, peer)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield line.getsockname()[1], asked
    finally:
        thread.join()
        line.close()


def reply(code: int = 2, signed: bool = True, secret: str = SECRET, **attributes: Any):
    def make(request: AuthPacket) -> bytes:
        made = request.CreateReply(message_authenticator=signed) if not signed else request.CreateReply()
        made.code = code
        for name, value in attributes.items():
            made[name.replace("_", "-")] = value
        made.secret = secret.encode()
        return bytes(made.ReplyPacket())

    return make


@pytest.fixture
def secret(tmp_path: Path) -> str:
    return private(tmp_path / "radius.secret", SECRET)


def asked_of(port: int, secret: str, **more: Any) -> Authorised:
    return radius_authorizer(RadiusAaa("127.0.0.1", secret, port, "nas-1"))(
        question(Authorizer.RADIUS, **more)
    )


@pytest.mark.row("N-5.3d")
def test_one_access_request_names_the_source_and_is_signed(secret):
    with radius_server(reply(Filter_Id="gold", Session_Timeout=60)) as (port, asked):
        assert asked_of(port, secret) == Authorised(7, ALLOW, "gold", 60.0)
    (request,) = asked
    assert request["User-Name"] == ["10.1.0.2"] and request["Framed-IP-Address"] == ["10.1.0.2"]
    assert request["NAS-Identifier"] == ["nas-1"] and request["Calling-Station-Id"] == ["10.1.0.2"]
    assert request["NAS-Port-Id"] == ["lte"] and request["Service-Type"] == ["Call-Check"]
    assert request.verify_message_authenticator()


@pytest.mark.row("N-5.3d")
def test_a_reject_denies_and_a_challenge_is_no_answer(secret):
    with radius_server(reply(AccessReject)) as (port, _):
        assert asked_of(port, secret, subscriber="p") == Authorised(7, DENY)
    with radius_server(reply(AccessChallenge)) as (port, _):
        assert asked_of(port, secret).verdict is ERROR


@pytest.mark.row("N-5.3d", "N-5.3.0")
def test_only_the_server_that_knows_the_secret_is_believed(secret):
    for forged in (
        reply(secret="another-secret"),
        reply(signed=False),
        lambda request: b"\x02\x00\x00\x14" + bytes(16),
    ):
        with radius_server(forged, None) as (port, asked):
            assert asked_of(port, secret, seconds=BRIEFLY).verdict is ERROR
        assert len(asked) == 2 and asked[0].raw_packet == asked[1].raw_packet  # it was only sent again
    with radius_server(None, reply()) as (port, _):
        assert asked_of(port, secret, seconds=10.0).verdict is ALLOW  # the first was lost


@given(st.binary(max_size=300))
def test_no_reply_raises(data):
    request = radius.access_request(
        question(Authorizer.RADIUS), SECRET.encode(), Dictionary(StringIO(radius._DICTIONARY)), "n"
    )
    request.RequestPacket()
    assert radius.read_reply(request, data) is None


def test_secrets_are_private_and_long_enough(tmp_path):
    open_ = tmp_path / "open"
    open_.write_text(SECRET)
    open_.chmod(0o644)
    short = private(tmp_path / "short", "short")
    for file in (str(open_), short, str(tmp_path / "missing")):
        with pytest.raises(StateError) as refused:
            authorisers(Aaa(radius=RadiusAaa("127.0.0.1", file)))
        assert SECRET not in str(refused.value)


# ---- all of them ----------------------------------------------------------------------------------


def test_only_so_many_are_asked_at_a_time_and_one_that_breaks_is_an_error():
    from eventlet import sleep
    from eventlet.event import Event

    gate: Any = Event()
    answers: list[Any] = []

    def slow(asked: Authorise) -> Authorised:
        gate.wait()
        return Authorised(asked.request, ALLOW)

    def broken(asked: Authorise) -> Authorised:
        raise RuntimeError("by itself")

    several = Authorisers({Authorizer.HTTP: slow, Authorizer.RADIUS: broken})
    several.connect(answers.append)
    several.ask(question(Authorizer.RADIUS, 1))
    sleep(0)
    assert answers == [Authorised(1, ERROR)]
    for number in range(IN_FLIGHT + QUEUED):
        several.ask(question(number=number)._replace(seconds=600.0))
    sleep(0)
    asked = IN_FLIGHT // 2  # it leaves as many to others
    assert answers[1:] == [Authorised(n, ERROR) for n in range(QUEUED + asked, QUEUED + IN_FLIGHT)]
    gate.send()
    for _ in range(2 * QUEUED):
        sleep(0)
    assert len(answers) == IN_FLIGHT + QUEUED + 1
    assert {a.verdict for a in answers[1 + asked :]} == {ALLOW}


def test_a_flood_at_one_access_starves_no_other_and_what_is_late_is_not_asked_about() -> None:
    from eventlet import sleep
    from eventlet.event import Event

    gate: Any = Event()
    asked: list[int] = []

    def slow(one: Authorise) -> Authorised:
        asked.append(one.request)
        gate.wait()
        return Authorised(one.request, ALLOW)

    answers: list[Any] = []
    several = Authorisers({Authorizer.HTTP: slow})
    several.connect(answers.append)
    for number in range(500):
        several.ask(question(number=number)._replace(access="flooded", seconds=600.0))
    several.ask(question(number=900)._replace(access="flooded", seconds=0.0))
    several.ask(question(number=1_000)._replace(access="other", seconds=600.0))
    sleep(0)
    assert asked == [*range(IN_FLIGHT // 2), 1_000]
    gate.send()
    for _ in range(1_000):
        sleep(0)
    assert len(asked) == 501 and 900 not in asked and not several._waiting and not several._out


def test_who_is_not_there_cannot_be_asked():
    answers: list[Any] = []
    nobody = authorisers(Aaa())
    nobody.connect(answers.append)
    nobody.ask(question())
    from eventlet import sleep

    sleep(0)
    assert answers == [Authorised(7, ERROR)]
