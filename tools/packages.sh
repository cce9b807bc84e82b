#!/usr/bin/env bash
# Builds sentinel_VERSION_ARCH.deb and .rpm. Usage: packages.sh VERSION FOLDER [deb] [rpm]
# nfpm is pinned in tools/nfpm/go.mod and fetched the first time.
set -eu
out=$(realpath -m "$2")
cd "$(dirname "$0")/.."
export VERSION=$1 ARCH
shift 2
ARCH=$(go env GOARCH)
export STAGE="$out/stage"
mkdir -p "$STAGE"
trap 'rm -rf "$STAGE"' EXIT
CGO_ENABLED=0 go build -trimpath -ldflags "-s -w -X sentinel/internal/cli.release=$VERSION" -o "$STAGE/sentinel" ./cmd/sentinel
for shell in bash zsh fish; do
    "$STAGE/sentinel" completion "$shell" >"$STAGE/sentinel.$shell"
done
"$STAGE/sentinel" man "$STAGE/man" >/dev/null
gzip -9n "$STAGE"/man/*
mkdir "$STAGE/doc" "$STAGE/share"
cp -r docs/. README.md CHANGELOG.md "$STAGE/doc"
cp -r examples "$STAGE/doc/examples"
find "$STAGE/doc" -name '*.go' -delete
cp -r deploy/alertmanager deploy/grafana deploy/prometheus "$STAGE/share"
[ $# -gt 0 ] || set -- deb rpm
for kind in "$@"; do
    go tool -modfile=tools/nfpm/go.mod nfpm package --config deploy/package/nfpm.yaml --packager "$kind" --target "$out"
done
