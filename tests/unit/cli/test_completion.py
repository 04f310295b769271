"""`steering completion`: bash itself is asked what it would complete."""

import subprocess
import sys
from pathlib import Path

import pytest

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
