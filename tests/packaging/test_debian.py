"""What the Debian package is made of; `make deb-test` installs, upgrades and removes the package itself."""

import json
import re
import runpy
import shutil
import subprocess
from pathlib import Path

import pytest

from steering.cli import state_dirs
from steering.cli.main import COMMANDS, build_whole_parser, main

ROOT = Path(__file__).resolve().parents[2]
PACKAGING = ROOT / "packaging"
UNITS = ("steering.service", "steering-relay@.service")
MOST_EXPOSED = 3.0  # of systemd's ten


@pytest.mark.parametrize("unit", UNITS)
def test_a_unit_may_little(unit: str) -> None:
    command = [
        "systemd-analyze",
        "security",
        "--offline=true",
        "--no-pager",
        str(PACKAGING / "systemd" / unit),
    ]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    (level,) = re.findall(r"Overall exposure level for \S+: ([\d.]+)", told)
    assert float(level) < MOST_EXPOSED


@pytest.mark.parametrize("unit", UNITS)
def test_a_unit_is_one_that_systemd_takes(unit: str) -> None:
    # It also tells that the program and the man pages are not on this machine, where nothing is installed.
    command = ["systemd-analyze", "verify", "--man=no", str(PACKAGING / "systemd" / unit)]
    told = subprocess.run(command, capture_output=True, text=True, check=False).stderr
    wrong = [
        line
        for line in told.splitlines()
        if unit.split(".")[0].rstrip("@") in line and "not executable" not in line
    ]
    assert not wrong, wrong


def test_the_controllers_unit_lets_a_check_of_a_policy_be_nice() -> None:
    lines = (PACKAGING / "systemd" / "steering.service").read_text().splitlines()
    without = [
        at for at, line in enumerate(lines) if line.startswith("SystemCallFilter=~@") and "@resources" in line
    ]
    assert without and lines.index("SystemCallFilter=setpriority") > without[-1], "what is last counts"


def test_the_package_leaves_the_state_directory_of_roots_own_controller_alone() -> None:
    """A link there to the service's state ended `steering run` as root, and took the place of a running controller's directory."""
    place = re.compile(rf"{state_dirs.ROOTS}(?![-\w])")
    made = [*PACKAGING.glob("systemd/*"), PACKAGING / "deb.sh", *PACKAGING.glob("debian/*")]
    lines = [line for path in made for line in path.read_text().splitlines() if place.search(line)]
    taken_back = f"[ ! -L {state_dirs.ROOTS} ] || rm -f {state_dirs.ROOTS}"
    assert [line.strip() for line in lines if not line.lstrip().startswith("#")] == [taken_back]


def test_roots_commands_look_where_the_unit_keeps_its_state() -> None:
    text = (PACKAGING / "systemd" / "steering.service").read_text()
    assert re.findall(r"--state-dir (\S+)", text) == [str(state_dirs.SERVICES)]


@pytest.mark.parametrize("unit", UNITS)
def test_what_a_unit_starts_is_a_command_with_options_it_has(unit: str) -> None:
    text = (PACKAGING / "systemd" / unit).read_text().replace("\\\n", " ")
    (line,) = re.findall(r"^ExecStart=/usr/bin/steering (.+)$", text, re.M)
    command, *options = [word for word in line.split() if not word.startswith("$")]
    told = subprocess.run(
        [str(ROOT / ".venv" / "bin" / "python"), "-m", "steering", command, "--help"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert all(option in told for option in options if option.startswith("--"))
    # A wrong file ends it with 2, and it is not started again and again.
    assert "RestartPreventExitStatus=2" in text and "Type=notify" in text and "WatchdogSec=" in text


def test_the_examples_of_etc_pass_the_check(capsys: pytest.CaptureFixture[str]) -> None:
    files = [
        "--site",
        str(PACKAGING / "etc" / "site.yaml.example"),
        "--policy",
        str(PACKAGING / "etc" / "policy.yaml"),
    ]
    assert main(["check", *files]) == 0, capsys.readouterr().err


def test_the_relays_example_is_a_relays_command_line(capsys: pytest.CaptureFixture[str]) -> None:
    text = (PACKAGING / "etc" / "relay" / "example.conf").read_text()
    lines = re.findall(r"^(?:# )?RELAY_OPTIONS=(.+)$", text, re.M)
    assert len(lines) == 2
    assert main(["relay", *lines[0].split(), "--nft"]) == 0
    assert "10.9.0.0/24" in capsys.readouterr().out


def test_every_command_has_a_man_page_that_roff_takes(tmp_path: Path) -> None:
    pages = runpy.run_path(str(PACKAGING / "manpages.py"))["pages"]()
    assert set(pages) == {"steering.1", *(f"steering-{command}.1" for command in COMMANDS)}
    whole = tmp_path / "all.1"
    whole.write_text("".join(pages.values()))
    command = ["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", str(whole)]
    shown = subprocess.run(
        command, env={"MANWIDTH": "80", "PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=True
    )
    assert shown.stderr == ""
    text = re.sub(".\b", "", shown.stdout)  # bold is struck twice
    assert "--switch-cert FILE" in text and "STEERING_URL" in text


def test_logrotate_takes_its_file(tmp_path: Path) -> None:
    text = (PACKAGING / "etc" / "logrotate").read_text().replace("su steering steering", "su root root")
    (tmp_path / "logs").mkdir()
    log = tmp_path / "logs" / "core.jsonl"
    log.write_text("{}\n")
    conf = tmp_path / "conf"
    conf.write_text(text.replace("/var/log/steering/", f"{tmp_path}/logs/"))
    conf.chmod(0o644)
    command = [
        shutil.which("logrotate") or "/usr/sbin/logrotate",
        "-f",
        "-s",
        str(tmp_path / "state"),
        str(conf),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert log.read_text() == "" and (tmp_path / "logs" / "core.jsonl.1").read_text() == "{}\n"


@pytest.mark.parametrize(
    "name", ["deb.sh", "deb-test.sh", "container-test.sh", "debian/postinst", "debian/prerm", "debian/postrm"]
)
def test_its_scripts_are_shell(name: str) -> None:
    subprocess.run(["sh", "-n", str(PACKAGING / name)], check=True)


def test_what_a_container_starts_and_asks_is_a_command_with_options_it_has() -> None:
    text = (PACKAGING / "Containerfile").read_text()
    lines = re.findall(r"^(?:ENTRYPOINT|HEALTHCHECK .*CMD) (\[.+\])$", text, re.M)
    started = [json.loads(line) for line in lines]
    assert [words[1] for words in started] == ["limits", "run", "relay"]
    # What its test starts, after the image's name, and what it asks.
    tried = (PACKAGING / "container-test.sh").read_text().replace("\\\n", " ")
    asked = re.findall(r"beside steering '(.+?)'", tried)
    relay = re.findall(r'-relay" (--.+?) >', tried)
    controller = re.findall(r'-controller" +(--.+?) >', tried)
    assert len(asked) == 2 and len(relay) == len(controller) == 1
    parser = build_whole_parser()
    for line in (*asked, f"relay {relay[0]}", f"run --site site.yaml {controller[0]}"):
        parser.parse_args(line.split())
    for words in started:
        assert words[0] == "steering" and parser.parse_args(words[1:]).command == words[1]
    # What the comments tell to be typed, after the image's name.
    typed = re.findall(r"podman run .*? (steering(?:-relay)?) (--.+)$", text, re.M)
    commands = {"steering": started[1][1:], "steering-relay": ["relay"]}
    assert [image for image, _ in typed] == ["steering", "steering-relay"]
    for image, options in typed:
        parser.parse_args([*commands[image], *options.split()])


def test_what_the_build_and_the_container_copy_exists() -> None:
    script = (PACKAGING / "deb.sh").read_text()
    named = set(re.findall(r"packaging/[\w./@-]+\w", script))
    assert len(named) > 8
    assert not [name for name in named if not (ROOT / name).exists()]
    container = (PACKAGING / "Containerfile").read_text()
    copied = [
        word for line in re.findall(r"^COPY (?!--from)(.+) \S+$", container, re.M) for word in line.split()
    ]
    assert copied and not [word for word in copied if not (ROOT / word).exists()]
    for conffile in (PACKAGING / "debian" / "conffiles").read_text().split():
        assert Path(conffile).name in script or Path(conffile).parent.name in script
