#!/bin/sh
# What the container runs: JupyterLab for "lab", else a command of m2s.
set -eu
cd /m2s
if [ "${1:-}" = lab ]; then
  shift
  exec python -m jupyterlab notebooks --ip 0.0.0.0 --allow-root --no-browser "$@"
fi
exec m2s "$@"
