"""Requests to etcd's JSON gateway (the v3 API over HTTP), with several endpoints, TLS, password and bounded answers.

Where an endpoint does not answer in time, or says that it has no leader, the next endpoint is asked. An error is `unsure`
where etcd may have carried the request out before the answer was lost. The caller then has to read the present state.
"""

import json
import socket
import ssl
from collections.abc import Iterator
from contextlib import suppress
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any

from steering.store.etcd.access import EtcdAccess, EtcdEndpoint, EtcdError, EtcdFault

MOST_ANSWER = 16 << 20  # bytes of one answer or of one message of a stream
MOST_IDLE = 4  # connections that are kept for the next request
ROUNDS = 2  # times that every endpoint is asked, since the election of a new leader takes a moment

Json = dict[str, Any]

# gRPC's status codes in the gateway's answers.
_CANCELLED, _UNKNOWN, _INVALID, _DEADLINE = 1, 2, 3, 4
_EXHAUSTED, _OUT_OF_RANGE, _UNAVAILABLE, _UNAUTHENTICATED = 8, 11, 14, 16
_ELSEWHERE = frozenset({_CANCELLED, _DEADLINE, _UNAVAILABLE})
_FAULTS = {_EXHAUSTED: EtcdFault.NO_SPACE, _OUT_OF_RANGE: EtcdFault.COMPACTED}
_BROKEN = (OSError, HTTPException, EOFError)


class EtcdGateway:
    """A client of etcd. Several threads or greenthreads may make requests at once. The constructor raises EtcdError for TLS
    files that cannot be used."""

    def __init__(self, access: EtcdAccess) -> None:
        self.access = access
        try:
            self._tls = access.context()
        except OSError as error:
            why = getattr(error, "reason", None) or error.strerror or str(error)
            raise EtcdError(EtcdFault.REFUSED, f"the certificates for etcd cannot be used: {why}") from None
        self._at = 0  # the endpoint that served last
        self._idle: list[tuple[int, HTTPConnection]] = []
        self._token = ""

    def call(self, path: str, body: Json) -> Json:
        """Make one request, such as `kv/range`; its answer. Raises EtcdError."""
        return self._in_turn(path, body)

    def stream(self, path: str, body: Json, wait: float) -> "EtcdStream":
        """Make a request whose answer is a stream of messages. `wait`: most seconds between two messages. Raises EtcdError."""
        place = self._at
        connection = self._connect(place, self.access.timeout)
        try:
            answer = self._send(connection, path, body)
            if answer.status != 200:
                raise _error(answer.status, _bounded(answer))
            if connection.sock is not None:
                connection.sock.settimeout(wait)
        except _BROKEN as error:
            connection.close()
            self.elsewhere(place)
            raise _unreachable(self.access.endpoints[place], error) from None
        except EtcdError as error:
            connection.close()
            if error.fault is EtcdFault.UNREACHABLE:
                self.elsewhere(place)
            self._token = ""  # the token may have expired
            raise
        return EtcdStream(connection, answer, place)

    def elsewhere(self, place: int) -> None:
        """Ask the next endpoint from now on, in place of the one with number `place`."""
        if self._at == place:
            self._at = (place + 1) % len(self.access.endpoints)

    def close(self) -> None:
        while self._idle:
            self._idle.pop()[1].close()

    # ---- one request ----------------------------------------------------------------------------

    def _in_turn(self, path: str, body: Json) -> Json:
        failed: EtcdError | None = None
        unsure = renewed = False
        asked = 0
        while asked < ROUNDS * len(self.access.endpoints):
            place = self._at
            try:
                return self._ask(place, path, body)
            except EtcdError as error:
                unsure = unsure or error.unsure
                if error.fault is EtcdFault.REFUSED and self._token and not renewed:
                    self._token, renewed = (
                        "",
                        True,
                    )  # the token may have expired: the same endpoint is asked with a new one
                    continue
                if error.fault is not EtcdFault.UNREACHABLE:
                    error.unsure = unsure
                    raise
                failed = error
            asked += 1
            self.elsewhere(place)
        assert failed is not None
        failed.unsure = unsure
        raise failed

    def _ask(self, place: int, path: str, body: Json) -> Json:
        """One endpoint's answer. A kept connection that the endpoint has closed is replaced once. The endpoint may have carried the request
        out before it closed that one, as where it was killed."""
        unsure = False
        for kept in (True, False):
            connection = self._take_idle(place) if kept else None
            if kept and connection is None:
                continue
            connection = connection or self._connect(place, self.access.timeout)
            try:
                answer = self._send(connection, path, body)
                data = _bounded(answer)
            except _BROKEN as error:
                connection.close()
                if kept and not isinstance(error, TimeoutError):
                    unsure = True
                    continue
                unsure = unsure or not isinstance(error, ConnectionRefusedError)
                raise _unreachable(self.access.endpoints[place], error, unsure) from None
            if answer.will_close or len(self._idle) >= MOST_IDLE:
                connection.close()
            else:
                self._idle.append((place, connection))
            if answer.status != 200:
                raise _error(answer.status, data)
            return _parsed(data)
        raise AssertionError("the second attempt returns or raises")

    def _take_idle(self, place: int) -> HTTPConnection | None:
        for kept in list(self._idle):
            if kept[0] == place:
                with suppress(ValueError):  # another greenthread has taken it
                    self._idle.remove(kept)
                    return kept[1]
        return None

    def _connect(self, place: int, timeout: float) -> HTTPConnection:
        endpoint = self.access.endpoints[place]
        if endpoint.path:
            return _UnixConnection(endpoint.path, timeout)
        if endpoint.secured:
            assert self._tls is not None
            return HTTPSConnection(endpoint.host, endpoint.port, timeout=timeout, context=self._tls)
        return HTTPConnection(endpoint.host, endpoint.port, timeout=timeout)

    def _send(self, connection: HTTPConnection, path: str, body: Json) -> HTTPResponse:
        headers = {"Content-Type": "application/json"}
        if self.access.user is not None:
            if not self._token:
                self._token = self._authenticate(connection)
            headers["Authorization"] = self._token
        connection.request("POST", f"/v3/{path}", json.dumps(body), headers)
        return connection.getresponse()

    def _authenticate(self, connection: HTTPConnection) -> str:
        wanted = json.dumps({"name": self.access.user, "password": self.access.password})
        connection.request("POST", "/v3/auth/authenticate", wanted, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        data = _bounded(answer)
        if answer.status != 200:
            raise _error(answer.status, data)
        token = _parsed(data).get("token")
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise EtcdError(EtcdFault.MALFORMED, "etcd gave no token for the password")
        return token


class _UnixConnection(HTTPConnection):
    """A connection to a socket of the file system."""

    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("localhost", timeout=timeout)
        self._path = path

    def connect(self) -> None:
        made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        made.settimeout(self.timeout)
        try:
            made.connect(self._path)
        except OSError:
            made.close()
            raise
        self.sock = made


class EtcdStream:
    """The messages of a streamed answer. `place`: the number of the endpoint that sends them."""

    def __init__(self, connection: HTTPConnection, answer: HTTPResponse, place: int) -> None:
        self._connection = connection
        self._answer = answer
        self.place = place

    def __iter__(self) -> Iterator[Json]:
        """The messages until the endpoint ends the stream. Raises TimeoutError when none came in time, and EtcdError."""
        while True:
            try:
                line = self._answer.readline(MOST_ANSWER + 1)
            except TimeoutError:
                raise
            except _BROKEN:
                return
            if not line:
                return
            if len(line) > MOST_ANSWER:
                raise EtcdError(EtcdFault.TOO_LARGE, f"etcd sent a message of more than {MOST_ANSWER} bytes")
            told = _parsed(line)
            if "error" in told:
                raise _error(0, line)
            result = told.get("result")
            yield result if isinstance(result, dict) else {}

    def wake(self) -> None:
        """Have the thread that reads find the end of the stream. Other threads call this: they may not close a socket that a
        thread reads from."""
        with suppress(OSError, AttributeError):
            self._connection.sock.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the stream. Only the thread that reads may call this."""
        with suppress(OSError, ssl.SSLError):
            self._connection.close()


def _bounded(answer: HTTPResponse) -> bytes:
    data = answer.read(MOST_ANSWER + 1)
    if len(data) > MOST_ANSWER:
        raise EtcdError(EtcdFault.TOO_LARGE, f"etcd's answer has more than {MOST_ANSWER} bytes")
    return data


def _parsed(data: bytes) -> Json:
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict):
        raise EtcdError(EtcdFault.MALFORMED, "what answered is not etcd's gateway")
    return found


def _error(status: int, data: bytes) -> EtcdError:
    """The error in a gateway's answer: {"error", "message", "code"}; in streams these are one level deeper."""
    try:
        told = _parsed(data)
    except EtcdError as error:
        return (
            error if status < 500 else EtcdError(EtcdFault.UNREACHABLE, f"etcd answered HTTP {status}", True)
        )
    inner = told.get("error")
    told = inner if isinstance(inner, dict) else told
    code = told.get("code") or told.get("grpc_code") or _UNKNOWN
    text = str(told.get("message") or told.get("error") or f"HTTP {status}")
    words = "".join(c if c.isprintable() else " " for c in text)[:200]
    if (isinstance(code, int) and code in _ELSEWHERE) or "no leader" in text or "timed out" in text:
        return EtcdError(EtcdFault.UNREACHABLE, f"etcd cannot serve: {words}", True)
    if "too large" in text:
        return EtcdError(EtcdFault.TOO_LARGE, f"etcd refuses: {words}")
    return EtcdError(
        _FAULTS.get(int(code) if isinstance(code, int) else _UNKNOWN, EtcdFault.REFUSED),
        f"etcd refuses: {words}",
    )


def _unreachable(endpoint: EtcdEndpoint, error: BaseException, unsure: bool = False) -> EtcdError:
    why = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return EtcdError(EtcdFault.UNREACHABLE, f"etcd cannot be reached, last tried {endpoint}: {why}", unsure)
