"""What counts as an answer to an Ident query (RFC 1413), and what the file of identifiers may hold."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steering.relay.loop.poller import Poller
from steering.relay.model import Endpoint, OptionError
from steering.relay.session.ident import LASTS, IdentClient, parse_ids, read_reply


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


@pytest.mark.row("N-5.3c")
def test_an_answer_is_gone_by_for_a_while_and_then_asked_for_again():
    """Nobody answers at port 113 of this address of the loopback, so each question is a refusal at once."""
    poller = Poller()
    told: list[bool] = []
    client = IdentClient(poller, frozenset({b"alice"}))
    host = Endpoint("127.113.0.1", 40000)
    try:
        for now, asked in ((0.0, 1), (LASTS - 1, 1), (LASTS + 1, 2)):
            client.ask(host, 5201, told.append, now)
            while len(client):
                poller.turn(1.0)
            assert client.asked == asked
        assert told == [False, False, False]
    finally:
        client.close()
        poller.close_pending()
