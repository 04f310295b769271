"""The YAML reader: bounds, hostile text, lines."""

import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from steering.policy import Code, load_policy, load_site, parse_policy, parse_site
from steering.policy.language.document import MAX_BYTES, MAX_VALUES, read_document
from steering.policy.language.findings import MAX_FINDINGS, Finding
from tests.support.policy_files import GOOD


def codes(findings: list[Finding]) -> list[Code]:
    return [finding.code for finding in findings]


@pytest.mark.parametrize(
    ("text", "code", "line"),
    [
        ("", Code.EMPTY, 1),
        ("# nothing\n", Code.EMPTY, 2),
        ("- 1\n", Code.WRONG_TYPE, 1),
        ("word\n", Code.WRONG_TYPE, 1),
        ("site: 1\nmcps: [\n", Code.YAML, 3),
        ("site: 1\nmcps: 'x\n", Code.YAML, 3),
        ("site: 1\na: b: c\n", Code.YAML, 2),
        ("site: 1\nmcps:\n\t- 1\n", Code.TAB, 3),
        ("site: 1\nname: \x07\n", Code.YAML, 2),
        ('site: "\\UFFFFFFFF"\n', Code.YAML, 1),
        ("site: 1\n---\nsite: 1\n", Code.SEVERAL_DOCUMENTS, 2),
        ("site: 1\nprefixes: [0.0.0.0/0, ::/0]\n", Code.YAML, 2),
        ("a: " + "[" * 40 + "]" * 40, Code.TOO_DEEP, 1),
        ("a: [" + "1," * MAX_VALUES + "]", Code.TOO_MANY_VALUES, 1),
        ("a: " + "x" * MAX_BYTES, Code.TOO_LARGE, 1),
    ],
)
def test_what_cannot_be_read(text: str, code: Code, line: int) -> None:
    document = read_document(text, "f.yaml")
    assert document.data is None
    assert [(f.code, f.line) for f in document.findings] == [(code, line)]
    assert parse_site(text, "f.yaml") == (None, document.findings)
    assert parse_policy(text, "f.yaml") == (None, document.findings)


def test_quotes_are_advised_for_an_address_that_begins_with_a_colon() -> None:
    _, findings = parse_site("site: 1\nprefixes: [0.0.0.0/0, ::/0]\n", "f.yaml")
    assert '"::/0"' in findings[0].message


def test_quotes_are_advised_for_an_address_that_ends_with_a_colon(good: str) -> None:
    _, findings = parse_site(good.replace("[10.2.0.0/24]", "[10.2.0.0/24, fd00:2::]"), "f.yaml")
    assert codes(findings) == [Code.WRONG_TYPE]
    assert "put quotes round 'fd00:2::'" in findings[0].message


def test_duplicate_keys(good: str) -> None:
    site, findings = parse_site(good + "discover: true\ndiscover: false\nmcps: []\n", "f.yaml")
    assert site is None
    assert [str(f) for f in findings] == [
        "f.yaml:10: key 'discover' stands already in line 9",
        "f.yaml:11: key 'mcps' stands already in line 7",
    ]


def test_aliases_are_refused_and_say_nothing_else() -> None:
    _, findings = parse_site(
        GOOD.replace("prefixes: [10.9", "prefixes: &p [10.9") + "switches: *p\n", "f.yaml"
    )
    assert [(f.code, f.line) for f in findings] == [(Code.ALIAS, 9)]


def test_an_alias_bomb_costs_nothing() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 10)]
    document = read_document("\n".join(lines), "f.yaml")
    assert len(document.findings) == 81 and {f.code for f in document.findings} == {Code.ALIAS}
    assert document.data is not None and document.data["a9"] == [None] * 9


def test_tags_and_odd_keys_are_refused(good: str) -> None:
    text = good + 'discover: !!python/object/apply:os.system [true]\n? [a, b]\n: 1\nswitches: {"": 1}\n'
    _, findings = parse_site(text, "f.yaml")
    assert [(f.code, f.line) for f in findings] == [(Code.TAG, 9), (Code.BAD_KEY, 10), (Code.BAD_KEY, 12)]


def test_findings_cannot_drive_a_terminal_or_flood_it() -> None:
    text = "site: 1\n" + "".join(f'"k{n}\\e[31m{"y" * 99}": 1\n' for n in range(1000))
    _, findings = parse_site(text, "f.yaml")
    assert len(findings) == MAX_FINDINGS + 1
    assert findings[-1].code is Code.TOO_MANY_FINDINGS and "802 more" in findings[-1].message
    assert all(str(f).isprintable() and len(str(f)) < 120 for f in findings)


@pytest.mark.parametrize(
    ("raw", "code", "line"),
    [(b"site: 1\nname: \xff\n", Code.NOT_UTF8, 2), (b"x" * (MAX_BYTES + 1), Code.TOO_LARGE, 1)],
)
def test_files_that_are_no_text(tmp_path: Path, raw: bytes, code: Code, line: int) -> None:
    path = tmp_path / "f.yaml"
    path.write_bytes(raw)
    for load in (load_site, load_policy):
        nothing, findings = load(str(path))
        assert nothing is None and [(f.code, f.line) for f in findings] == [(code, line)]


def test_files_that_are_not_there(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none.yaml", "a\0b"):
        nothing, findings = load_site(str(path))
        assert nothing is None and codes(findings) == [Code.UNREADABLE]


def test_no_more_than_the_bound_is_read() -> None:
    with open("/dev/zero", "rb") as endless:
        nothing, findings = load_site(f"/dev/fd/{endless.fileno()}")
    assert nothing is None and codes(findings) == [Code.TOO_LARGE]


def test_what_could_be_waited_for_is_refused_by_its_kind_at_once(tmp_path: Path) -> None:
    fifo, socket_ = tmp_path / "fifo", tmp_path / "socket"
    os.mkfifo(fifo)
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(socket_))
        for path, kind in ((fifo, "a FIFO"), ("/dev/zero", "a device"), (socket_, "")):
            nothing, findings = load_policy(str(path))
            assert nothing is None and codes(findings) == [Code.UNREADABLE] and kind in str(findings[0])


def test_a_pipe_that_the_command_was_given_open_is_read() -> None:
    reads, writes = os.pipe()
    os.write(writes, b"policy: 1\n")
    os.close(writes)
    try:
        policy, findings = load_policy(f"/dev/fd/{reads}")
    finally:
        os.close(reads)
    assert policy is not None and not findings


def test_a_byte_order_mark_and_dos_lines(tmp_path: Path, good: str) -> None:
    path = tmp_path / "f.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + good.replace("\n", "\r\n").encode())
    assert load_site(str(path)) == parse_site(good, "f.yaml")


PIECES = st.sampled_from(
    [*" \n\t:,-[]{}&*!?|>'\"%@`#\\", "site: 1", "mcps", "- ", "s1:1", "::/0", "10.1.0.0/24", "policy: 1", "~", "\x85", "\ud800", "0x1"]
)  # fmt: skip


@given(st.lists(st.one_of(PIECES, st.text(max_size=4)), max_size=40).map("".join))
def test_any_text_is_read_or_refused(text: str) -> None:
    for parse in (parse_site, parse_policy):
        result, findings = parse(text, "f.yaml")
        assert (result is None) == bool(findings)
        assert all(f.line >= 1 and f.column >= 1 and str(f).isprintable() for f in findings)


@given(st.data())
def test_a_good_file_with_a_piece_replaced_is_read_or_refused(data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(GOOD) - 1))
    length = data.draw(st.integers(0, 30))
    piece = data.draw(st.one_of(PIECES, st.text(max_size=4)))
    site, findings = parse_site(GOOD[:start] + piece + GOOD[start + length :], "f.yaml")
    assert (site is None) == bool(findings)
