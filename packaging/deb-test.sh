#!/bin/sh
# Installs, uses, upgrades and removes build/steering_*.deb (or that of STEERING_BUILD=DIR) in a fresh Debian root, as root.
# Then, in a root of its own, follows docs/fifteen-minutes.rst from `apt install` to a session. Prints a line for each thing that held.
#
#   packaging/deb-test.sh [ROOT [PART]]  ROOT: a root that debootstrap made before (with python3 and adduser), else it is made; it is changed.
#                                        PART: package or page, for one of the two
#   packaging/deb-test.sh --here   in this machine's own root, under an overlay that is thrown away: needs no network and no debootstrap
set -eu
cd "$(dirname "$0")/.."
[ "$(id -u)" = 0 ] || { echo 'steering: a Debian root takes root to make: run this as root' >&2; exit 2; }
if [ "${1:-}" = --here ]; then
    exec unshare --mount --net --propagation private packaging/deb-test.sh --unshared
fi
[ -n "${1:-}" ] || command -v debootstrap >/dev/null || { echo 'steering: debootstrap is missing: apt-get install debootstrap' >&2; exit 2; }
BUILD=${STEERING_BUILD:-build}
DEB=$(ls -t "$BUILD"/steering_*.deb 2>/dev/null | head -n 1)
[ -n "$DEB" ] || { echo 'steering: no package in build/: run make deb' >&2; exit 2; }
WORK=$(mktemp -d "$BUILD/deb-test.XXXXXX")
ROOT=${1:-$WORK/root} PART=${2:-}
started=
end() {
    [ -z "$started" ] || kill "$started" 2>/dev/null || true
    [ "$ROOT" != "$WORK/over/root" ] || umount --recursive --lazy "$WORK/over" || true
    rm -rf --one-file-system "$WORK"
}
trap end EXIT INT TERM
export DEBIAN_FRONTEND=noninteractive LC_ALL=C.UTF-8

if [ "$ROOT" = --unshared ]; then
    # All writes go to memory. This machine's processes, its sockets and the project's own state on it are hidden.
    ROOT=$WORK/over/root PART=package
    mkdir "$WORK/over"
    mount -t tmpfs tmpfs "$WORK/over"
    mkdir "$WORK/over/upper" "$WORK/over/work" "$ROOT"
    mount -t overlay overlay -o "lowerdir=/,upperdir=$WORK/over/upper,workdir=$WORK/over/work" "$ROOT"
    for folder in dev run tmp; do mount -t tmpfs -o mode=755 tmpfs "$ROOT/$folder"; done
    : >"$ROOT/dev/null"
    mount --bind /dev/null "$ROOT/dev/null"
    ip link set lo up
fi
if [ ! -d "$ROOT" ]; then
    echo 'deb-test: making a Debian root ...'
    debootstrap --variant=minbase --include=python3,adduser bookworm "$ROOT" >"$WORK/debootstrap.log" 2>&1 ||
        { tail -n 5 "$WORK/debootstrap.log" >&2; exit 1; }
fi
there() { chroot "$ROOT" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 "$@"; }
held() { printf 'deb-test: %s\n' "$1"; }
failed() { printf 'deb-test: FAILED: %s\n' "$1" >&2; exit 1; }

serve() {
    # As the unit does: its user, its files, its state directory. The port is one of this machine's, so an unlikely one.
    chroot "$ROOT" env -i PATH=/usr/bin:/bin setpriv --reuid steering --regid steering --clear-groups \
        /usr/bin/steering run --site /etc/steering/site.yaml --policy /etc/steering/policy.yaml \
        --state-dir /var/lib/steering --listen 127.0.0.1:36653 --rest 127.0.0.1:0 >"$WORK/run.log" 2>&1 &
    started=$!
    tries=0
    until [ -e "$ROOT/var/lib/steering/rest" ]; do
        kill -0 "$started" 2>/dev/null || { cat "$WORK/run.log" >&2; failed 'the controller did not start'; }
        tries=$((tries + 1))
        [ "$tries" -lt 600 ] || failed 'the controller does not serve'
        sleep 0.2
    done
}
stop() {
    kill "$started"
    wait "$started" || failed "the controller ended with status $?"
    started=
}

follow() { .venv/bin/python -m tests.packaging.first_session "$ROOT" "$DEB"; }
if [ "$PART" = page ]; then
    follow
    exit
fi

mkdir -p "$ROOT/tmp"
cp "$DEB" "$ROOT/tmp/first.deb"
mkdir "$WORK/second"
dpkg-deb -R "$DEB" "$WORK/second"
version=$(there dpkg-deb -f /tmp/first.deb Version)
sed -i "s/^Version: .*/Version: $version.1/" "$WORK/second/DEBIAN/control"
dpkg-deb --root-owner-group -Znone --build "$WORK/second" "$ROOT/tmp/second.deb" >/dev/null
rm -rf "$WORK/second"

there dpkg -i /tmp/first.deb >"$WORK/install.log" 2>&1 || { cat "$WORK/install.log" >&2; failed 'it is not installed'; }
there getent passwd steering >/dev/null || failed 'no user steering'
[ "$(stat -c %a "$ROOT/var/lib/steering")" = 700 ] || failed 'the state directory is open to others'
held "installed: $(there steering --version), user steering, a private state directory"
there steering check --site /etc/steering/site.yaml.example --policy /etc/steering/policy.yaml >/dev/null || failed 'its examples do not pass its check'
there test -s /usr/share/man/man1/steering-run.1.gz || [ -e "$ROOT/etc/dpkg/dpkg.cfg.d/docker" ] || failed 'no man pages'
cp "$ROOT/etc/steering/site.yaml.example" "$ROOT/etc/steering/site.yaml"
echo 'STEERING_OPTIONS=--log-level debug' >"$ROOT/etc/steering/controller.conf"
serve
held 'the controller serves as user steering, with the files of /etc/steering'
there steering token add --role reader --name kept >/dev/null || failed 'root cannot add a token'
[ "$(stat -c %u "$ROOT/var/lib/steering/tokens.json")" = "$(there id -u steering)" ] || failed 'the tokens are not the user steering'"'"'s'
there steering limits >/dev/null || failed 'root'"'"'s commands do not find the controller'
status=0
there steering status >/dev/null 2>&1 || status=$?
[ "$status" = 1 ] || failed "status of a site without its switches is $status"
held 'root'"'"'s commands find it, and a token that root makes is the controller'"'"'s to read'
stop
there steering token list --json >"$WORK/tokens"
cp "$ROOT/var/lib/steering/token" "$WORK/token"

there ln -sfn /var/lib/steering /run/steering  # as an earlier package did
there dpkg -i --force-confdef --force-confold /tmp/second.deb >"$WORK/upgrade.log" 2>&1 || { cat "$WORK/upgrade.log" >&2; failed 'it is not upgraded'; }
[ "$(there dpkg-query -W -f='${Version}' steering)" = "$version.1" ] || failed 'the version is the old one'
[ ! -L "$ROOT/run/steering" ] || failed 'where root'"'"'s own controller has its state there is a link to the service'"'"'s'
grep -q -- '--log-level debug' "$ROOT/etc/steering/controller.conf" || failed 'an upgrade took the operator'"'"'s options'
serve
there steering token list --json | cmp -s - "$WORK/tokens" || failed 'an upgrade lost tokens'
cmp -s "$ROOT/var/lib/steering/token" "$WORK/token" || failed 'an upgrade changed the first token'
stop
held 'upgraded: state, tokens and changed files are kept, and the controller starts on them'

there dpkg -r steering >/dev/null 2>&1 || failed 'it is not removed'
[ ! -e "$ROOT/usr/bin/steering" ] && [ ! -d "$ROOT/usr/lib/steering" ] || failed 'removed, and something is left in /usr'
[ -e "$ROOT/etc/steering/controller.conf" ] && [ -e "$ROOT/var/lib/steering/token" ] || failed 'removed, and what is kept is gone'
there dpkg -P steering >/dev/null 2>&1 || failed 'it is not purged'
[ ! -e "$ROOT/etc/steering" ] && [ ! -e "$ROOT/var/lib/steering" ] || failed 'purged, and something is left'
held 'removed: nothing left in /usr, state kept; purged: nothing left'

# In a second root, the commands of docs/fifteen-minutes.rst lead from the package to a session, with packages of Debian's mirror.
[ "$PART" = package ] || follow
