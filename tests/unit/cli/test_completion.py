"""`steering completion`: bash itself is asked what it would complete."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from steering.cli.commands.completion import TAKES
from steering.cli.main import build_whole_parser
from steering.store import credentials
from tests.support.fixed_view import TOKEN, FixedView, north
from tests.support.rest_server import serve

ROOT = Path(__file__).resolve().parents[3]
STEERING = [sys.executable, "-m", "steering", "completion"]

# What bash does at a tab: the words so far, then the function that was registered for the command.
ASK = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMP_LINE="$*"; COMP_POINT=${#COMP_LINE}
function=$(complete -p steering | sed 's/.*-F \\([^ ]*\\).*/\\1/')
$function steering "${COMP_WORDS[COMP_CWORD]}" ""
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("completion") / "steering.bash"
    done = subprocess.run([*STEERING, "bash"], cwd=ROOT, capture_output=True, text=True, check=True)
    path.write_text(done.stdout)
    return path


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (("sess",), {"sessions"}),
        (("access", "s"), {"set"}),
        (("lab", ""), {"list", "run", "clean"}),
        (("run", "--pol"), {"--policy"}),
        (("policy", "roll"), {"rollback"}),
        (("access", "off"), {"offload"}),
        (("access", "offload", "lte", "--b"), {"--back"}),
        (("",), {"topology", "link", "subscriber", "acl", "registry", "pairing", "binding"}),
        (("topology", ""), {"switches", "links", "attachments", "hosts", "gateways"}),
        (("link", ""), {"list", "set", "reset"}),
        (("link", "set", "--we"), {"--weight"}),
        (("subscriber", ""), {"list", "set", "reset"}),
        (("subscriber", "set", "--"), {"--allowed", "--preferred", "--sequence", "--json"}),
        (("acl", ""), {"show", "set"}),
        (("acl", "set", "polic"), {"policies"}),
        (("registry", ""), {"list", "add", "remove"}),
        (("registry", "add", "--d"), {"--deny"}),
        (("pairing", ""), {"list", "set", "remove"}),
        (("binding", ""), {"list", "add", "renew", "remove"}),
        (("binding", "add", "--ext"), {"--ext-port"}),
        (("policy", "clock", "--o"), {"--offset"}),
        (("mcp", "dis"), {"discovery"}),
        (("run", "--site", "polic"), {"policies"}),
    ],
)
def test_bash_completes_commands_options_and_files(
    script: Path, words: tuple[str, ...], wanted: set[str]
) -> None:
    command = ["bash", "-c", ASK, "bash", str(script), "steering", *words]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert wanted <= set(done.stdout.split()), done.stderr


@pytest.mark.parametrize(("shell", "mark"), [("zsh", "#compdef steering"), ("fish", "complete -c steering")])
def test_other_shells_have_their_own(shell: str, mark: str) -> None:
    done = subprocess.run([*STEERING, shell], cwd=ROOT, capture_output=True, text=True, check=True)
    assert mark in done.stdout and "sessions" in done.stdout


def test_an_unknown_shell_is_one_line() -> None:
    done = subprocess.run([*STEERING, "tcl"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1


@pytest.fixture(scope="module")
def asking(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a shell on whose PATH `steering` is, and where a controller answers."""
    state = tmp_path_factory.mktemp("state")
    state.chmod(0o700)
    (state / "token").write_text(TOKEN + "\n")
    program = tmp_path_factory.mktemp("bin") / "steering"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m steering "$@"\n')
    program.chmod(0o755)
    for url in serve(north(FixedView()).application):
        credentials.write_rest_url(state, url)
        yield {
            "PATH": f"{program.parent}:{os.environ['PATH']}",
            "HOME": str(state),
            "PYTHONPATH": str(ROOT),
            "LANG": "C.UTF-8",
            "STEERING_URL": url,
            "STEERING_TOKEN_FILE": str(state / "token"),
        }


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (("mcp", "drain", "co"), "core"),
        (("sessions", "--mcp", ""), "core"),
        (("access", "offload", "lt"), "lte"),
        (("explain", "m"), "m-1"),
        (("lab", "run", "off-"), "off-path"),
        (("examples", "default"), "default.policy.yaml"),
    ],
)
def test_bash_completes_names_of_the_controller_that_runs(
    script: Path, asking: dict[str, str], words: tuple[str, ...], wanted: str
) -> None:
    command = ["bash", "-c", ASK, "bash", str(script), "steering", *words]
    done = subprocess.run(command, cwd=ROOT, env=asking, capture_output=True, text=True, check=True)
    assert wanted in done.stdout.split(), (done.stdout, done.stderr)


def test_names_are_none_and_no_error_where_no_controller_runs(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), "STEERING_URL": "http://127.0.0.1:1"}
    environment["STEERING_TOKEN_FILE"] = str(tmp_path / "none")
    done = subprocess.run(
        [*STEERING, "--names", "mcps"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", "")


def test_fish_completes_names(asking: dict[str, str], tmp_path: Path) -> None:
    assert shutil.which("fish"), "apt-get install fish"
    done = subprocess.run([*STEERING, "fish"], cwd=ROOT, capture_output=True, text=True, check=True)
    (tmp_path / "steering.fish").write_text(done.stdout)
    line = f"source {tmp_path}/steering.fish; complete -C 'steering mcp drain '"
    completed = subprocess.run(
        ["fish", "--no-config", "-c", line], cwd=ROOT, env=asking, capture_output=True, text=True, check=True
    )
    assert "core" in completed.stdout.split(), completed.stderr


def test_zsh_asks_for_names_at_the_tab_and_not_when_it_loads(tmp_path: Path) -> None:
    assert shutil.which("zsh"), "apt-get install zsh"
    done = subprocess.run([*STEERING, "zsh"], cwd=ROOT, capture_output=True, text=True, check=True)
    script = tmp_path / "_steering"
    script.write_text(done.stdout)
    # A `steering` that writes what it is asked, and a compadd that prints what it is given.
    line = (
        f"steering() {{ echo $* >> {tmp_path}/asked; echo core edge }}; compdef() {{ : }}; compadd() {{ echo $@ }}; "
        f"source {script}; [ ! -e {tmp_path}/asked ] && _steering_names_mcps"
    )
    called = subprocess.run(["zsh", "-f", "-c", line], capture_output=True, text=True, check=False)
    assert called.stdout.split() == ["--", "core", "edge"], called.stderr
    assert (tmp_path / "asked").read_text() == "completion --names mcps\n"


def test_every_argument_that_takes_names_exists() -> None:
    def arguments(parser: object, path: tuple[str, ...]) -> Iterator[tuple[str, str]]:
        for action in parser._actions:  # type: ignore[attr-defined]
            if isinstance(action.choices, dict):
                for word, sub in action.choices.items():
                    yield from arguments(sub, (*path, word))
            yield " ".join(path), action.dest

    assert set(TAKES) <= set(arguments(build_whole_parser(), ()))
