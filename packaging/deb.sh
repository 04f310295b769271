#!/bin/sh
# Builds build/steering_VERSION_ARCH.deb (or in STEERING_BUILD=DIR): a virtual environment of its own in /usr/lib/steering, units, man pages, examples.
#
#   packaging/deb.sh [VERSION]     needs .venv (packaging/setup.sh tools), dpkg-deb, and pip's index for what is in constraints.txt
#
# STEERING_PACKAGES=DIR takes installed packages from there instead of pip's index (tests).
set -eu
cd "$(dirname "$0")/.."
TREE=$(pwd -P)
HOME_OF=usr/lib/steering
VERSION=${1:-$(.venv/bin/python -c 'import steering; print(steering.__version__)')}
ARCHITECTURE=$(dpkg --print-architecture)
BUILD=${STEERING_BUILD:-$TREE/build}
mkdir -p "$BUILD"
WORK=$(mktemp -d "$BUILD/deb.XXXXXX")
trap 'rm -rf "$WORK"' EXIT INT TERM
ROOT=$WORK/root
export PIP_CONSTRAINT="$TREE/constraints.txt" PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1
umask 022

mkdir -p "$ROOT/$HOME_OF"
/usr/bin/python3 -m venv --without-pip "$ROOT/$HOME_OF"
# The wheel is built from a copy of the sources, as setuptools writes files into the tree that it builds. What Python has compiled is no
# source, and whoever runs the tree meanwhile makes and removes it: a copy of that would end in the middle.
mkdir "$WORK/tree"
find steering topologies policies tests/__init__.py tests/bench tests/support setup.cfg pyproject.toml README.rst LICENSE \
    -name __pycache__ -prune -o ! -type d -print0 | xargs -0 cp -a --parents -t "$WORK/tree"
set -- --python "$ROOT/$HOME_OF/bin/python" install --quiet --no-input --no-compile
if [ -n "${STEERING_PACKAGES:-}" ]; then
    cp -a "$STEERING_PACKAGES/." "$ROOT/$HOME_OF"/lib/python3*/site-packages
    .venv/bin/python -m pip wheel --quiet --no-deps --no-build-isolation -w "$WORK" "$WORK/tree"
    .venv/bin/python -m pip "$@" --no-deps --no-index "$WORK"/steering-*.whl
else
    .venv/bin/python -m pip "$@" "$WORK/tree"
fi

# The environment was built in another directory than it is installed in: files that name the build directory are changed.
grep -rlI --exclude-dir=site-packages "$ROOT" "$ROOT/$HOME_OF/bin" "$ROOT/$HOME_OF/pyvenv.cfg" | xargs -r sed -i "s|$ROOT/|/|g"
sed -i '/^command = /d' "$ROOT/$HOME_OF/pyvenv.cfg"
find "$ROOT/$HOME_OF" -name 'direct_url.json' -delete
find "$ROOT/$HOME_OF" -name __pycache__ -type d -prune -exec rm -rf {} +
# Python files are compiled here: the services' user may not write there, and would compile them at each start.
.venv/bin/python -m compileall -q -s "$ROOT" -p / "$ROOT/$HOME_OF" || true

mkdir -p "$ROOT/usr/bin" "$ROOT/usr/lib/systemd/system" "$ROOT/usr/lib/sysusers.d"
ln -s ../lib/steering/bin/steering "$ROOT/usr/bin/steering"
install -m 0644 packaging/systemd/*.service "$ROOT/usr/lib/systemd/system"
install -m 0644 packaging/systemd/steering.sysusers "$ROOT/usr/lib/sysusers.d/steering.conf"
install -d "$ROOT/etc/steering/relay" "$ROOT/etc/logrotate.d" "$ROOT/usr/share/doc/steering/examples" "$ROOT/usr/share/man/man1"
install -m 0644 packaging/etc/controller.conf packaging/etc/policy.yaml packaging/etc/site.yaml.example "$ROOT/etc/steering"
install -m 0644 packaging/etc/relay/example.conf "$ROOT/etc/steering/relay/example.conf.example"
install -m 0644 packaging/etc/logrotate "$ROOT/etc/logrotate.d/steering"
install -m 0644 policies/*.yaml "$ROOT/usr/share/doc/steering/examples"
cp -r ops "$ROOT/usr/share/doc/steering/"
install -m 0644 LICENSE "$ROOT/usr/share/doc/steering/copyright"
gzip -9n <CHANGELOG.rst >"$ROOT/usr/share/doc/steering/changelog.gz"
.venv/bin/python packaging/manpages.py "$ROOT/usr/share/man/man1"
gzip -9n "$ROOT"/usr/share/man/man1/*.1
for shell in bash:bash-completion/completions/steering zsh:zsh/vendor-completions/_steering fish:fish/vendor_completions.d/steering.fish; do
    install -d "$(dirname "$ROOT/usr/share/${shell#*:}")"
    .venv/bin/python -m steering completion "${shell%%:*}" >"$ROOT/usr/share/${shell#*:}"
done

mkdir "$ROOT/DEBIAN"
size=$(du -sk --exclude=DEBIAN "$ROOT" | cut -f1)
sed "s|@VERSION@|$VERSION|; s|@ARCHITECTURE@|$ARCHITECTURE|; s|@SIZE@|$size|" packaging/debian/control.in >"$ROOT/DEBIAN/control"
install -m 0755 packaging/debian/postinst packaging/debian/prerm packaging/debian/postrm "$ROOT/DEBIAN"
install -m 0644 packaging/debian/conffiles "$ROOT/DEBIAN"
(cd "$ROOT" && find . -path ./DEBIAN -prune -o -type f -printf '%P\0' | sort -z | xargs -0 md5sum >DEBIAN/md5sums)
dpkg-deb --root-owner-group -Zzstd -z3 --build "$ROOT" "$BUILD/steering_${VERSION}_${ARCHITECTURE}.deb"
