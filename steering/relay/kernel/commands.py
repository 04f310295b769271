"""Runs the system's own tools (ip, nft) with a time limit. A failure is one line for the operator."""

import subprocess

COMMAND_TIMEOUT_S = 10


class RuleError(RuntimeError):
    """The kernel or a tool refused a rule, route or sysctl. The text is one line for the operator."""


def command(line: str, text: str | None = None, must: bool = True) -> str | None:
    """Run a command with `text` on its standard input; its output. Raises RuleError where it fails, or without `must`
    returns None."""
    try:
        done = subprocess.run(
            line.split(), input=text, capture_output=True, text=True, timeout=COMMAND_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        if must:
            raise RuleError(f"{line}: {error}") from None
        return None
    if done.returncode == 0:
        return done.stdout
    if must:
        reason = (done.stderr or done.stdout).strip().splitlines() or [f"status {done.returncode}"]
        raise RuleError(f"{line}: {reason[0]}")
    return None
