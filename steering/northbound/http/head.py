"""Checks that the head of a request is as RFC 9112 allows, so that every reader takes it to mean the same.

Python's parser accepts much that RFC 9112 forbids: folded lines, lines without a colon, a space before the colon, two
lengths. Where a proxy and this server read such a head differently, bytes that the proxy takes for the end of one request
are another request here, and the proxy vouches for its sender (request smuggling). So every such head is refused, and its
connection is closed.
"""

import re

MAX_FIELDS = 100
MAX_LENGTH_DIGITS = 10

_REQUEST_LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ [\x21-\x7e]+ HTTP/[0-9]\.[0-9]\r\n")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([\t\x20-\x7e\x80-\xff]*)\r\n")
_DIGITS = re.compile(rb"[0-9]{1,%d}" % MAX_LENGTH_DIGITS)
_ONCE = (b"content-length", b"transfer-encoding", b"host")


def request_line_fault(line: bytes) -> str | None:
    """The fault of a request line, given with its line end (RFC 9112 section 3); None for a correct one."""
    return None if _REQUEST_LINE.fullmatch(line) else "the request line is none"


def fields_fault(lines: list[bytes]) -> str | None:
    """The first fault of the header lines, given with their line ends (RFC 9112 sections 5 and 6); None for correct ones."""
    once: dict[bytes, bytes] = {}
    for line in lines:
        field = _FIELD.fullmatch(line)
        if field is None:
            return _line_fault(line)
        name = field[1].lower()
        if name in _ONCE:
            if name in once:
                return f"{name.decode()} is there twice"
            once[name] = field[2].strip()
    length, coding = once.get(b"content-length"), once.get(b"transfer-encoding")
    if length is not None and not _DIGITS.fullmatch(length):
        return "Content-Length is no number"
    if coding is not None and length is not None:
        return "Content-Length and Transfer-Encoding exclude each other"
    if coding is not None and coding.lower() != b"chunked":
        return "a Transfer-Encoding that this server does not know"
    return None


def _line_fault(line: bytes) -> str:
    """The rule that a header line breaks, in words."""
    if not line.endswith(b"\r\n") or b"\r" in line[:-2] or b"\n" in line[:-2]:
        return "a header line does not end in CR LF"
    if line[:1] in b" \t":
        return "a header line is folded"
    name, colon, _ = line.partition(b":")
    if not colon:
        return "a header line without a colon"
    if name.endswith((b" ", b"\t")):
        return "a space before the colon of a header line"
    return "a header line holds what none may hold"
