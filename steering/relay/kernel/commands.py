"""The system's own tools (ip, nft), run with a time limit; a refusal is one line for the operator."""

import subprocess

COMMAND_TIMEOUT_S = 10


class RuleError(RuntimeError):
    """A rule, route or sysctl the kernel or its tool refused; one line for the operator."""


def command(line: str, text: str | None = None, must: bool = True) -> str | None:
    """Run a command, with `text` on its standard input, and return what it printed. Raises RuleError where it
    fails; without `must` a failure is None."""
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
