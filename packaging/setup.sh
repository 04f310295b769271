#!/bin/sh
# Makes a Debian 12 machine ready for steering. Installed packages and existing files are left as they are.
#
#   packaging/setup.sh tools   the virtual environment .venv (root only if a Debian package is missing)
#   packaging/setup.sh lab     that, what the labs need from Debian, and a running Open vSwitch (root)
#   packaging/setup.sh test    all that, and the browser of the live page's tests (root)
#
# Exit status 2 and one line that says what to do when the machine cannot serve. Details: build/setup.log
set -eu

# Debian's own interpreter by its full path: Debian's Mininet works only with that one, and another `python3`
# (pyenv, conda) may come first on PATH.
PYTHON=/usr/bin/python3
TOOLS_PACKAGES="ca-certificates gcc python3-dev python3-venv"
LAB_PACKAGES="curl etcd-client etcd-server ethtool fish freeradius git haproxy iperf3 iproute2 iputils-ping kmod logrotate man-db microsocks mininet
    mptcpize nftables nginx openssh-client openssh-server openvswitch-switch openvswitch-testcontroller procps prometheus
    tcpdump traceroute tshark zsh"

TEST_PACKAGES="chromium debootstrap fonts-dejavu-core"

cd "$(dirname "$0")/.."
TREE=$(pwd -P)
LOG=build/setup.log
export PATH="${PATH:-/usr/bin:/bin}:/usr/local/sbin:/usr/sbin:/sbin"
export LC_ALL=C.UTF-8
unset PYTHONHOME PYTHONPATH VIRTUAL_ENV || true

refuse() {
    printf 'steering: %s\n' "$1" >&2
    exit 2
}

# step TITLE COMMAND...: prints the title, writes the command's output to the log, and stops if the command fails.
step() {
    title=$1
    shift
    printf 'set-up: %s ...\n' "$title"
    began=$(date +%s)
    printf '\n== %s\n' "$title" >>"$LOG"
    # Descriptor 9, the lock, is closed here: a daemon started by the command would hold the lock for as long as it runs.
    if ! "$@" >>"$LOG" 2>&1 </dev/null 9>&-; then
        tail -n 15 "$LOG" >&2
        refuse "set-up stopped at: $title (all of it: $LOG)"
    fi
    printf 'set-up: %s: done in %s s\n' "${title%%:*}" "$(($(date +%s) - began))"
}

missing_of() {
    for package in "$@"; do
        state=$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)
        [ "$state" = installed ] || printf '%s ' "$package"
    done
}

install_packages() {
    command -v dpkg-query >/dev/null && command -v apt-get >/dev/null ||
        refuse "this is not Debian: use a Debian 12 machine (the packages are listed in packaging/setup.sh)"
    missing=$(missing_of "$@")
    [ -n "$missing" ] || return 0
    [ "$(id -u)" = 0 ] || refuse "Debian packages are missing: as root, apt-get install $missing"
    export DEBIAN_FRONTEND=noninteractive
    step "reading Debian's package lists" apt-get -q -o DPkg::Lock::Timeout=300 update
    # tshark's package asks whether users without root may capture packets. The answer here is no.
    if command -v debconf-set-selections >/dev/null; then
        echo "wireshark-common wireshark-common/install-setuid boolean false" | debconf-set-selections
    fi
    # shellcheck disable=SC2086 # a list of words
    step "installing Debian packages: $missing" \
        apt-get -q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends $missing
    for service in etcd-server freeradius haproxy nginx openssh-server openvswitch-testcontroller prometheus; do
        case " $missing" in
        *" $service "*) stop_service "$service" ;;
        esac
    done
}

# These packages start services, one of them on the controller's port. Only their programs are wanted, so the services are
# stopped, except where the machine had the package already.
stop_service() {
    case $1 in
    etcd-server) set -- etcd ;;
    openssh-server) set -- ssh ;;
    esac
    if [ -d /run/systemd/system ]; then
        systemctl disable --now "$1" >>"$LOG" 2>&1 || true
    else
        invoke-rc.d "$1" stop >>"$LOG" 2>&1 || true
        update-rc.d "$1" disable >>"$LOG" 2>&1 || true
    fi
}

# An environment that was moved does not work, and one without the system's packages does not see Mininet: both are made anew.
venv_fits() {
    grep -qx 'home = /usr/bin' .venv/pyvenv.cfg 2>/dev/null &&
        grep -qx 'include-system-site-packages = true' .venv/pyvenv.cfg &&
        grep -qF "$TREE/.venv/bin/python" .venv/bin/pip 2>/dev/null &&
        [ "$(.venv/bin/python -V 2>&1)" = "$($PYTHON -V 2>&1)" ]
}

make_venv() {
    $PYTHON -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
        refuse "$PYTHON is $($PYTHON -V 2>&1 || true), 3.11 or newer is needed: use a Debian 12 machine"
    if ! venv_fits; then
        rm -rf .venv
        step "making the virtual environment .venv" $PYTHON -m venv --system-site-packages .venv
    fi
    # The environment is renewed only when the files that it is made from have changed.
    key=$(cat setup.cfg constraints.txt | sha256sum)
    [ "$(cat .venv/setup.stamp 2>/dev/null || true)" != "$key" ] || return 0
    rm -f .venv/setup.stamp
    # Set in pip's environment and not by an option, so that it also holds for pip's builds of packages.
    export PIP_CONSTRAINT="$TREE/constraints.txt" PIP_DISABLE_PIP_VERSION_CHECK=1
    # eventlet loads pyOpenSSL where it is installed. Debian's pyOpenSSL fails with the cryptography package that os-ken needs.
    step "installing Python packages into .venv" .venv/bin/python -m pip install --no-input -e '.[dev,docs,otel]' pyOpenSSL
    echo "$key" >.venv/setup.stamp
}

switch_runs() {
    ovs-vsctl --timeout=3 show >/dev/null 2>&1 && ovs-appctl --timeout=3 version >/dev/null 2>&1
}

start_switch() {
    if [ -d /run/systemd/system ]; then
        systemctl start openvswitch-switch
        return
    fi
    /usr/share/openvswitch/scripts/ovs-ctl --system-id=random start && return
    # Without the kernel module, ovs-ctl starts only the database. The userspace datapath needs no module.
    ovs-vswitchd unix:/run/openvswitch/db.sock --pidfile --detach --no-chdir \
        --log-file=/var/log/openvswitch/ovs-vswitchd.log -vconsole:off
}

lab_can_run() {
    [ "$(id -u)" = 0 ] || refuse "the labs need root (network namespaces, Open vSwitch): run this as root"
    [ -e /proc/sys/net/mptcp/enabled ] ||
        refuse "this kernel has no MPTCP (/proc/sys/net/mptcp is missing): boot one with CONFIG_MPTCP, as Debian 12's own"
    unshare --net --mount true 2>/dev/null ||
        refuse "network namespaces are not allowed here: in a container, start it with --privileged"
}

what=${1:-}
[ "$what" = tools ] || [ "$what" = lab ] || [ "$what" = test ] || refuse "usage: packaging/setup.sh tools|lab|test"
[ "$what" = tools ] || lab_can_run
mkdir -p build 2>/dev/null && : >>"$LOG" || refuse "cannot write $LOG: give this user the tree, or run as its owner"
# The lock keeps two runs of make from installing at the same time.
exec 9>build/setup.lock
flock 9
case $what in
tools) install_packages $TOOLS_PACKAGES ;;
lab) install_packages $TOOLS_PACKAGES $LAB_PACKAGES ;;
test) install_packages $TOOLS_PACKAGES $LAB_PACKAGES $TEST_PACKAGES ;;
esac
make_venv
[ "$what" != tools ] || exit 0
.venv/bin/python -c 'import mininet.net' 2>>"$LOG" ||
    refuse "Mininet cannot be imported: apt-get install --reinstall mininet (reason: $LOG)"
if ! switch_runs; then
    step "starting Open vSwitch" start_switch
    switch_runs || refuse "Open vSwitch does not answer: see /var/log/openvswitch/ovs-vswitchd.log"
fi
