#!/usr/bin/env bash
# Starts the demo origin and sentinel in front of it, and ends both on Ctrl-C.
set -eu
cd "$(dirname "$0")/.."
export SENTINEL_RUN="${SENTINEL_RUN:-$(mktemp -d /tmp/sentinel-demo.XXXXXX)}"
bin/demo-origin -address 127.0.0.1:9000 &
origin=$!
bin/sentinel --config examples/demo.kdl &
proxy=$!
trap 'kill $proxy $origin 2>/dev/null || true; wait 2>/dev/null || true' EXIT
trap 'exit 0' INT TERM
echo "sentinel serves http://localhost:8080/, its metrics are at http://localhost:9090/metrics; Ctrl-C ends the demo"
wait -n $proxy $origin
