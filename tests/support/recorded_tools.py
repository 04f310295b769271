"""Programs `nft` and `ip` in the place of the system's: they write down how they were called, change nothing, and answer
what a test has told them. So what a relay asks of the kernel is seen without a kernel that would do it.
"""

import os
from pathlib import Path
from typing import NamedTuple

import pytest

_PROGRAM = """\
#!/bin/sh
cd '{folder}' || exit 1
number=$(($(cat number 2>/dev/null) + 1))
echo $number > number
call=call-$(printf %06d $number)
echo "${{0##*/}} $*" > $call.line
cat /proc/net/tcp /proc/net/tcp6 > $call.sockets
case "$*" in *"-f -") cat > $call.text;; *) : > $call.text;; esac
if [ -e refused ] && grep -qFf refused $call.text; then echo 'refused by a test' >&2; exit 1; fi
answer=$(printf %s "${{0##*/}} $*" | tr ' /' '__')
if [ -e "$answer" ]; then cat "$answer"; fi
"""
_LISTENING = "0A"


class ToolCall(NamedTuple):
    """One call: its words, what came on standard input, and the TCP ports on which somebody listened meanwhile."""

    line: str
    text: str
    listening: frozenset[int]


class RecordedTools:
    """From now on to the end of the test `nft` and `ip` of PATH are these."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._folder = folder / "tools"
        self._folder.mkdir()
        for name in ("nft", "ip"):
            program = self._folder / name
            program.write_text(_PROGRAM.format(folder=self._folder))
            program.chmod(0o755)
        monkeypatch.setenv("PATH", f"{self._folder}:{os.environ['PATH']}")

    def answers(self, line: str, text: str) -> None:
        """What a call with these words prints."""
        (self._folder / line.replace(" ", "_").replace("/", "_")).write_text(text)

    def refuses(self, part: str) -> None:
        """A call fails where this is part of its standard input."""
        (self._folder / "refused").write_text(f"{part}\n")

    def calls(self) -> list[ToolCall]:
        """All calls, in order."""
        return [
            ToolCall(
                line.read_text().rstrip(),
                line.with_suffix(".text").read_text(),
                _listening(line.with_suffix(".sockets").read_text()),
            )
            for line in sorted(self._folder.glob("call-*.line"))
        ]

    def texts(self) -> list[str]:
        """What nft was given to carry out, in order."""
        return [call.text for call in self.calls() if call.line == "nft -f -"]


def _listening(sockets: str) -> frozenset[int]:
    rows = [line.split() for line in sockets.splitlines() if ":" in line.split()[0]]  # not the heads
    return frozenset(int(row[1].rpartition(":")[2], 16) for row in rows if row[3] == _LISTENING)
