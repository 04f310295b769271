#!/bin/sh
# Builds the containers of packaging/Containerfile and starts each, as root, where podman or docker is. Prints a line for each thing that held.
#
#   packaging/container-test.sh [ROOT]   ROOT: a Debian 12 root (debootstrap's), to which pip's settings of this machine are copied; without it one
#                                        is made. It becomes the image that both are built on: no registry of images is needed, but Debian's
#                                        mirror and pip's index.
set -eu
cd "$(dirname "$0")/.."
[ "$(id -u)" = 0 ] || { echo 'steering: a Debian root takes root to make: run this as root' >&2; exit 2; }
builder=
for one in podman docker; do "$one" info >/dev/null 2>&1 && builder=$one && break; done
[ -n "$builder" ] || { echo 'steering: no podman, and no docker that runs: install one of them' >&2; exit 2; }
# Without it podman leaves the health check out of the image.
form=
[ "$builder" = docker ] || form='--format docker'
BUILD=${STEERING_BUILD:-build}
mkdir -p "$BUILD"
WORK=$(mktemp -d "$BUILD/container-test.XXXXXX")
NAME=steering-test-$$
end() {
    "$builder" rm -f -v "$NAME" >/dev/null 2>&1 || true
    "$builder" rmi -f "$NAME-controller" "$NAME-relay" "$NAME-base" >/dev/null 2>&1 || true
    rm -rf --one-file-system "$WORK"
}
trap end EXIT INT TERM
held() { printf 'container-test: %s\n' "$1"; }
failed() { printf 'container-test: FAILED: %s\n' "$1" >&2; exit 1; }

ROOT=${1:-$WORK/root}
if [ ! -d "$ROOT" ]; then
    command -v debootstrap >/dev/null || { echo 'steering: debootstrap is missing: apt-get install debootstrap' >&2; exit 2; }
    echo 'container-test: making a Debian root ...'
    debootstrap --variant=minbase bookworm "$ROOT" >"$WORK/debootstrap.log" 2>&1 || { tail -n 5 "$WORK/debootstrap.log" >&2; exit 1; }
fi
# Behind a proxy that has a certificate of its own, pip trusts it in the container as here.
[ ! -e /etc/pip.conf ] || cp /etc/pip.conf "$ROOT/etc"
if [ -d /usr/local/share/ca-certificates ]; then
    mkdir -p "$ROOT/usr/local/share"
    cp -rL /usr/local/share/ca-certificates "$ROOT/usr/local/share"
fi
tar -C "$ROOT" --one-file-system -c . | "$builder" import - "$NAME-base" >/dev/null
for target in controller relay; do
    # This machine's own network is enough for a build, and needs no bridge.
    "$builder" build $form --network host --build-arg "BASE=$NAME-base" -f packaging/Containerfile --target "$target" -t "$NAME-$target" . \
        >"$WORK/$target.log" 2>&1 || { tail -n 20 "$WORK/$target.log" >&2; failed "the $target is not built"; }
    held "the $target is built"
done

# As the package's examples of /etc/steering, on a port of this machine that is an unlikely one.
mkdir "$WORK/etc"
cp packaging/etc/policy.yaml "$WORK/etc/policy.yaml"
cp packaging/etc/site.yaml.example "$WORK/etc/site.yaml"
chmod -R go+rX "$WORK" && chmod go+x "$WORK"
"$builder" run -d --name "$NAME" --network host -v "$(realpath "$WORK/etc"):/etc/steering:ro" "$NAME-controller" \
    --listen 127.0.0.1:36653 --rest 127.0.0.1:0 >/dev/null || failed 'the controller does not start'
# A command beside it, in a container of its own with the same state: its image names the user.
beside() { "$builder" run --rm --network host --volumes-from "$NAME" --entrypoint "$1" "$NAME-controller" $2; }
"$builder" inspect "$NAME-controller" | grep -q '"limits"' || failed 'the image has no health check'
tries=0
# The health check's own command.
until beside steering 'limits --state-dir /var/lib/steering' >"$WORK/asked" 2>&1; do
    tries=$((tries + 1))
    [ "$("$builder" inspect -f '{{.State.Running}}' "$NAME")" = true ] && [ "$tries" -lt 60 ] ||
        { "$builder" logs "$NAME" >&2; cat "$WORK/asked" >&2; failed 'the controller is not healthy'; }
    sleep 1
done
[ "$(beside id -un)" = steering ] || failed 'the controller is root in its container'
status=0
beside steering 'status --state-dir /var/lib/steering' >/dev/null 2>&1 || status=$?
[ "$status" = 1 ] || failed "status of a site without its switches is $status"
held 'the controller serves in its container as user steering, and its health check passes'
"$builder" stop -t 30 "$NAME" >/dev/null || failed 'the controller does not stop'
[ "$("$builder" inspect -f '{{.State.ExitCode}}' "$NAME")" = 0 ] || failed 'the controller did not end by itself when it was told to'
held 'it ends when it is told to'

"$builder" run --rm --network host "$NAME-relay" --source-mode transparent --port 36443 --prefix 10.9.0.0/24 --nft >"$WORK/rules" ||
    failed 'the relay does not start'
grep -q 10.9.0.0/24 "$WORK/rules" || failed 'the relay does not say its rules'
held 'the relay runs in its container'
