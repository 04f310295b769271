"""The `steering` command as a user meets it: help, mistakes, an interrupt, a reader that goes away."""

import argparse
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

from steering import __version__
from steering.cli import main as cli

ROOT = Path(__file__).resolve().parents[3]


def steering(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "steering", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )


def with_command(tmp_path: Path, body: str) -> list[str]:
    """A command line whose `steering bench` is a module of the test with `body` as its `run`."""
    (tmp_path / "bench.py").write_text(
        "SUMMARY: str = 'measure'\n"
        "def add_arguments(parser):\n    parser.add_argument('--rounds', type=int, default=3)\n"
        f"def run(args):\n    {body}\n"
    )
    code = (
        "import sys\nimport steering.cli.commands\nfrom steering.cli import main\n"
        f"steering.cli.commands.__path__.insert(0, {str(tmp_path)!r})\n"
        f"main._source_of = lambda name: {str(tmp_path)!r} + '/' + name + '.py'\n"
        "sys.exit(main.main(sys.argv[1:]))\n"
    )
    return [sys.executable, "-c", code]


def test_version() -> None:
    ran = steering("--version")
    assert (ran.returncode, ran.stdout) == (0, f"steering {__version__}\n")


def test_help_lists_each_command_with_its_summary_and_an_example() -> None:
    ran = steering("--help")
    assert ran.returncode == 0
    assert "example: steering run --site" in ran.stdout
    for command in cli.available():
        assert command in ran.stdout
        assert cli.summary_of(command), f"{command} has no SUMMARY"


def parsers_below(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """Those of its subcommands, and of theirs."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield below
                yield from parsers_below(below)


def test_each_help_says_what_the_command_does_and_each_command_has_an_example() -> None:
    whole = cli.build_whole_parser()
    silent = [parser.prog for parser in parsers_below(whole) if not parser.description]
    assert not silent
    shown = {parser.prog: parser.format_help() for parser in parsers_below(whole)}
    for command in cli.available():
        example = import_module(f"steering.cli.commands.{command}").EXAMPLE
        words = shlex.split(re.sub(r'^eval "\$\((.+)\)"$', r"\1", example))
        assert words[:2] == ["steering", command]
        assert whole.parse_args(words[1:]).command == command, example
        assert words[-1] in shown[f"steering {command}"].split("xample: ")[1]


def test_without_a_command_help_and_status_2() -> None:
    ran = steering()
    assert ran.returncode == 2
    assert "usage: steering" in ran.stderr
    assert ran.stdout == ""


@pytest.mark.parametrize("words", [["no-such-thing"], ["--no-such-option"], ["--versio"]])
def test_a_mistake_is_one_line_and_status_2(words: list[str]) -> None:
    ran = steering(*words)
    assert ran.returncode == 2
    assert ran.stdout == ""
    assert ran.stderr.count("\n") == 1
    assert words[0] in ran.stderr


def test_a_near_miss_is_answered_with_the_right_word(tmp_path: Path) -> None:
    ran = subprocess.run(
        [*with_command(tmp_path, "return 0"), "bnech"], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (2, "steering: no command 'bnech': did you mean 'bench'?\n")


@pytest.mark.parametrize("status", [0, 1, 2])
def test_the_status_of_a_command_is_passed_on(tmp_path: Path, status: int) -> None:
    line = with_command(tmp_path, f"return {status}")
    assert subprocess.run([*line, "bench"], check=False).returncode == status


def test_a_wrong_argument_of_a_command_is_one_line(tmp_path: Path) -> None:
    line = with_command(tmp_path, "return 0")
    ran = subprocess.run([*line, "bench", "--rounds", "x"], capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert ran.stderr.startswith("steering bench: argument --rounds")
    assert ran.stderr.count("\n") == 1


def test_an_interrupt_is_quiet_and_130(tmp_path: Path) -> None:
    line = with_command(tmp_path, "raise KeyboardInterrupt")
    ran = subprocess.run([*line, "bench"], capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout, ran.stderr) == (130, "", "")


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("much", [1, 200_000])
def test_a_reader_that_goes_away_is_no_traceback(tmp_path: Path, much: int, unbuffered: str) -> None:
    # It writes when it is told to, so that the reader is gone and the write meets a broken pipe for certain.
    line = with_command(tmp_path, f"import sys; sys.stdin.read(); print('x' * {much}); return 0")
    ran = subprocess.Popen(
        [*line, "bench"],
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert ran.stdin is not None and ran.stdout is not None and ran.stderr is not None
    ran.stdout.close()
    ran.stdin.close()
    complaint = ran.stderr.read()
    ran.stderr.close()
    assert (ran.wait(timeout=30), complaint) == (141, "")


def test_another_broken_pipe_is_not_hidden(tmp_path: Path) -> None:
    line = with_command(tmp_path, "raise BrokenPipeError('the socket of the controller')")
    ran = subprocess.run([*line, "bench"], capture_output=True, text=True, check=False)
    assert ran.returncode == 1
    assert "the socket of the controller" in ran.stderr


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_stream_that_is_closed_is_no_traceback(tmp_path: Path, closed: str) -> None:
    """As a script or a service may start the command."""
    body = "import sys; sys.stdin.read(); print('x'); return int(sys.stdout.isatty() or sys.stderr.isatty())"
    line = shlex.join([*with_command(tmp_path, body), "bench"])
    ran = subprocess.run(
        ["sh", "-c", f"exec {line} {closed}"], stdin=subprocess.DEVNULL, capture_output=True, check=False
    )
    assert (ran.returncode, ran.stderr) == (0, b"")


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("much", [1, 200_000])
def test_a_full_disk_is_one_line(tmp_path: Path, much: int, unbuffered: str) -> None:
    line = with_command(tmp_path, f"print('x' * {much}); return 0")
    with Path("/dev/full").open("w") as full:
        ran = subprocess.run(
            [*line, "bench"],
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    said = "steering: the output cannot be written: No space left on device\n"
    assert (ran.returncode, ran.stderr) == (1, said)


def test_letters_that_the_terminal_does_not_have_are_escapes(tmp_path: Path) -> None:
    line = with_command(tmp_path, r"print('Z\u00fcrich'); return 0")
    ran = subprocess.run(
        [*line, "bench"], env={**os.environ, "PYTHONIOENCODING": "ascii"}, capture_output=True, check=False
    )
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, rb"Z\xfcrich" + b"\n", b"")
