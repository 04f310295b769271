"""From a fresh Debian root to a proxied session, by docs/fifteen-minutes.rst alone: `apt install` of the package, then every command as it
stands there, in namespaces of its own.

    python -m tests.packaging.first_session ROOT PACKAGE

ROOT: a Debian root that debootstrap made; it is changed, and installs from Debian's mirror. Root's, and only its exit status and lines count.
"""

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tests.support import fifteen_minutes

HOME = Path("root")
LONGEST_S = 600
TOO_LONG = 124  # as timeout(1) has it
# What a Debian machine has that was booted, and a root does not: mounts, what systemd-tmpfiles makes for the package, what the package does where
# systemd runs, loopback, and the services of what was installed. The controller's own service is not enabled.
MOUNTS = """\
set -e
mount --bind "$1" "$1"
mount --rbind /dev "$1/dev"
mount -t proc proc "$1/proc"
mount -t sysfs sysfs "$1/sys"
mount -t tmpfs -o mode=755 tmpfs "$1/run"
[ ! -e "$1/usr/lib/tmpfiles.d/steering.conf" ] || systemd-tmpfiles --root="$1" --create steering.conf
exec chroot "$1" /usr/bin/env -i HOME=/root LANG=C.UTF-8 TERM=dumb PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin bash "$2"
"""
BOOTED = """\
set -e
mkdir -p /run/systemd/system
/var/lib/dpkg/info/steering.postinst configure
rm -r /run/systemd
ip link set lo up
mkdir -p /run/openvswitch
[ -e /etc/openvswitch/conf.db ] || ovsdb-tool create /etc/openvswitch/conf.db /usr/share/openvswitch/vswitch.ovsschema
ovsdb-server /etc/openvswitch/conf.db --remote=punix:/run/openvswitch/db.sock --pidfile --detach --no-chdir --log-file -vconsole:off
ovs-vsctl --no-wait init
ovs-vswitchd unix:/run/openvswitch/db.sock --pidfile --detach --no-chdir --log-file -vconsole:off
cd /root
"""
# A reader answers yes, and no service starts in a root that was not booted: it would be one of this machine's.
ANSWERS = 'APT::Get::Assume-Yes "true";\nAcquire::Retries "3";\n'
NO_SERVICES = "#!/bin/sh\nexit 101\n"


def _run_inside(root: Path, script: str, *namespaces: str) -> subprocess.CompletedProcess[str]:
    """Run a script of the root with its own mounts, and in more namespaces."""
    command = [
        "unshare",
        "--mount",
        "--propagation",
        "private",
        "--pid",
        "--fork",
        "--kill-child",
        *namespaces,
    ]
    return run_within([*command, "sh", "-c", MOUNTS, "mounts", str(root), script], LONGEST_S)


def run_within(command: list[str], longest: float) -> subprocess.CompletedProcess[str]:
    """Run a command. After `longest` seconds it is killed; then its status is 124 and what it said is kept."""
    began = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        out, err = began.communicate(timeout=longest)
    except subprocess.TimeoutExpired:
        began.kill()
        out, err = began.communicate()
        return subprocess.CompletedProcess(command, TOO_LONG, out, f"{err}\nnot over after {longest:.0f} s\n")
    return subprocess.CompletedProcess(command, began.returncode, out, err)


def install(root: Path, package: Path) -> subprocess.CompletedProcess[str]:
    """The page's own installation, in the folder where the reader has the package."""
    (root / "etc/apt/apt.conf.d/90answers").write_text(ANSWERS)
    policy = root / "usr/sbin/policy-rc.d"
    policy.write_text(NO_SERVICES)
    policy.chmod(0o755)
    shutil.copy("/etc/resolv.conf", root / "etc/resolv.conf")
    # The page names it as it is called where Debian calls the processor amd64.
    shutil.copy(package, root / HOME / fifteen_minutes.package())
    script = f"set -e\nexport DEBIAN_FRONTEND=noninteractive\ncd /{HOME}\n{fifteen_minutes.installation()}"
    (root / HOME / "install.sh").write_text(script)
    done = _run_inside(root, f"/{HOME}/install.sh")
    policy.unlink()
    return done


def follow(root: Path) -> subprocess.CompletedProcess[str]:
    """The rest of the page."""
    script = fifteen_minutes.write_page(root / HOME, BOOTED)
    return _run_inside(root, f"/{HOME}/{script.name}", "--net")


def fail(what: str, done: subprocess.CompletedProcess[str], logs: Path) -> int:
    told = done.stdout + done.stderr + "".join(path.read_text() for path in sorted(logs.glob("*.log")))
    print(f"{told}\ndeb-test: FAILED: {what}", file=sys.stderr)
    return 1


def main(arguments: list[str]) -> int:
    if len(arguments) != 2 or os.geteuid() != 0:
        print("steering: ROOT and PACKAGE are wanted, as root", file=sys.stderr)
        return 2
    root, package = (Path(argument).resolve() for argument in arguments)
    began = time.monotonic()
    done = install(root, package)
    if done.returncode:
        return fail("the page does not install the package", done, root / "nowhere")
    print(f"deb-test: installed as the page says, {time.monotonic() - began:.0f} s", flush=True)
    began = time.monotonic()
    done = follow(root)
    missed = fifteen_minutes.missed(done.stdout, done.stderr)
    if done.returncode or missed:
        return fail(f"the page ends with status {done.returncode}; missed: {missed}", done, root / HOME)
    print(
        f"deb-test: the page leads from there to a session of two subflows, {time.monotonic() - began:.0f} s"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
