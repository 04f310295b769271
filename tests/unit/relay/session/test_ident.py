"""What counts as an answer to an Ident query (RFC 1413), and what the file of identifiers may hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steering.relay.model import OptionError
from steering.relay.session.ident import parse_ids, read_reply


@pytest.mark.row("N-5.3c")
@pytest.mark.parametrize(
    ("line", "name"),
    [
        (b"6193, 23 : USERID : UNIX : stjohns", b"stjohns"),  # RFC 1413 section 6
        (b"6193,23:USERID:UNIX,US-ASCII:a b", b"a b"),
        (b"6195, 23 : ERROR : NO-USER", None),
        (b"6193, 24 : USERID : UNIX : stjohns", None),  # of another connection
        (b"23, 6193 : USERID : UNIX : stjohns", None),
        (b"6193, 23 : USERID : UNIX : ", None),
        (b"6193, 23 : USERID : UNIX", None),
        (b"", None),
    ],
)
def test_an_answer_names_the_ports_that_were_asked_about(line, name):
    assert read_reply(line, 6193, 23) == name


@given(st.binary(max_size=300))
def test_nothing_that_a_host_says_raises(line):
    read_reply(line, 1, 2)


def test_the_file_names_somebody():
    assert parse_ids("# who pays\nalice\n\n  bob \n") == {b"alice", b"bob"}
    for text in ("", "# nobody\n", "\n".join(f"u{n}" for n in range(5000))):
        with pytest.raises(OptionError):
            parse_ids(text)
