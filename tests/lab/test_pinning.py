"""Two hundred sessions with everything against them, and each protection taken away in turn."""

import pytest

from tests.lab.running import Ran, assert_held

SHORT = ("--sessions", "60")


@pytest.mark.row("D-6.2c", "D-4.a", "D-4.c", "D-4.d", "D-6.4h")
@pytest.mark.lab("pinning")
def test_no_join_is_mispinned_and_no_steered_segment_takes_the_natural_path(ran: Ran) -> None:
    assert_held(ran)
    figures = ran.report["figures"]
    assert figures["sessions"] == 200 and figures["natural"] >= 2000 and figures["leaked"] == 0
    assert figures["joins_held"] > 0  # joins did overtake their token


@pytest.mark.row("D-6.2c")
@pytest.mark.lab("pinning", "--without", "token-lookup", *SHORT)
def test_joins_decided_anew_are_caught(ran: Ran) -> None:
    assert ran.status == 1
    assert "mis-pinned or missing joins" in ran.failed("kernel")
    assert "joins that came to an MCP without their token" in ran.failed("kernel")
    assert "joins captured at an MCP whose key is another" in ran.failed("capture")
    assert ran.failed("REST")


@pytest.mark.row("D-6.2c")
@pytest.mark.lab("pinning", "--without", "wrong-mcp", *SHORT)
def test_a_join_steered_to_the_wrong_mcp_is_caught(ran: Ran) -> None:
    assert ran.status == 1
    assert "joins that came to an MCP without their token" in ran.failed("kernel")
    assert "joins captured at an MCP whose key is another" in ran.failed("capture")


@pytest.mark.row("D-6.2c")
@pytest.mark.lab("pinning", "--without", "hold-queue", *SHORT)
def test_joins_that_overtake_their_token_are_caught_without_the_hold_queue(ran: Ran) -> None:
    assert ran.status == 1
    assert "segments of steered 5-tuples on natural links" in ran.failed("capture")
    assert "mis-pinned or missing joins" in ran.failed("kernel")


@pytest.mark.row("D-6.2c")
@pytest.mark.lab("pinning", "--without", "un-wildcarding", *SHORT)
def test_a_shared_megaflow_is_caught_without_un_wildcarding(ran: Ran) -> None:
    assert ran.status == 1
    assert "segments of steered 5-tuples on natural links" in ran.failed("capture")
