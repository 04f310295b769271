#!/bin/sh
# ruff (lint, format) and mypy over the whole tree: all three speak, any of them fails the whole.
cd "$(dirname "$0")/.." || exit 2
failed=0
echo 'lint: ruff check, ruff format --check, mypy ...'
.venv/bin/ruff check --output-format concise . || failed=1
.venv/bin/ruff format --check --output-format concise . || failed=1
.venv/bin/mypy || failed=1
exit $failed
