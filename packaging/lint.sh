#!/bin/sh
# ruff (lint, format) and mypy over the whole tree. All three always run; the script fails if any of them fails.
cd "$(dirname "$0")/.." || exit 2
failed=0
echo 'lint: ruff check, ruff format --check, mypy ...'
.venv/bin/ruff check --output-format concise . || failed=1
.venv/bin/ruff format --check --output-format concise . || failed=1
.venv/bin/mypy || failed=1
exit $failed
