"""Heads of requests: what two readers could understand differently is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steering.northbound.http.head import fields_fault, request_line_fault


@pytest.mark.parametrize(
    "line",
    [
        b"GET / HTTP/1.1\r\n",
        b"PUT /v1/links/a?x=%20y HTTP/1.0\r\n",
        b"OPTIONS * HTTP/1.1\r\n",
        b"GET / HTTP/9.9\r\n",
    ],
)
def test_a_request_line_of_three_words_is_one(line: bytes) -> None:
    assert request_line_fault(line) is None


@pytest.mark.parametrize(
    "line",
    [
        b"GET / HTTP/1.1\n",
        b"GET /\r\n",
        b"GET  / HTTP/1.1\r\n",
        b"GET\t/ HTTP/1.1\r\n",
        b" GET / HTTP/1.1\r\n",
        b"GET / HTTP/1.1 \r\n",
        b"GET / / HTTP/1.1\r\n",
        b"GET /\r HTTP/1.1\r\n",
        b"GET /\xff HTTP/1.1\r\n",
        b"G(T / HTTP/1.1\r\n",
        b"\r\n",
        b"",
    ],
)
def test_any_other_is_none(line: bytes) -> None:
    assert request_line_fault(line)


@pytest.mark.parametrize(
    "lines",
    [
        [],
        [b"Host: a\r\n", b"X:\r\n", b"Y:  \tz \r\n"],
        [b"Content-Length: 12\r\n"],
        [b"Content-Length:12 \r\n"],
        [b"Transfer-Encoding: Chunked\r\n"],
        [b"X: \xe4\xf6\r\n", b"X: again\r\n"],
    ],
)
def test_headers_that_mean_one_thing_are_taken(lines: list[bytes]) -> None:
    assert fields_fault(lines) is None


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ([b"Content-Length: 1\r\n", b"Content-Length: 1\r\n"], "twice"),
        ([b"Content-Length: 1\r\n", b"CONTENT-LENGTH: 2\r\n"], "twice"),
        ([b"Content-Length: 1, 1\r\n"], "no number"),
        ([b"Content-Length: +1\r\n"], "no number"),
        ([b"Content-Length: 0x1\r\n"], "no number"),
        ([b"Content-Length: 1_0\r\n"], "no number"),
        ([b"Content-Length:\r\n"], "no number"),
        ([b"Content-Length: 99999999999\r\n"], "no number"),
        ([b"Content-Length : 1\r\n"], "before the colon"),
        ([b"Content-Length\t: 1\r\n"], "before the colon"),
        ([b"Content-Length 1\r\n"], "without a colon"),
        ([b"Transfer-Encoding: chunked\r\n", b"Content-Length: 1\r\n"], "exclude"),
        ([b"Transfer-Encoding: chunked\r\n", b"Transfer-Encoding: identity\r\n"], "twice"),
        ([b"Transfer-Encoding: gzip, chunked\r\n"], "does not know"),
        ([b"Transfer-Encoding: xchunked\r\n"], "does not know"),
        ([b"Transfer-Encoding:\r\n"], "does not know"),
        ([b"Host: a\r\n", b"Host: b\r\n"], "twice"),
        ([b"X: a\r\n", b" b\r\n"], "folded"),
        ([b"X: a\r\n", b"\tContent-Length: 1\r\n"], "folded"),
        ([b"X: a\n"], "CR LF"),
        ([b"X: a\rContent-Length: 1\r\n"], "CR LF"),
        ([b"X: a\0b\r\n"], "none may hold"),
        ([b": a\r\n"], "none may hold"),
        ([b"X(: a\r\n"], "none may hold"),
    ],
)
def test_headers_that_two_readers_could_take_differently_are_refused(lines: list[bytes], why: str) -> None:
    fault = fields_fault(lines)
    assert fault is not None and why in fault


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_any_bytes_are_judged(lines: list[bytes]) -> None:
    fault = fields_fault(lines)
    assert fault is None or fault.isascii()
    if fault is None:
        assert all(line.endswith(b"\r\n") and line.count(b"\n") == 1 and b":" in line for line in lines)
