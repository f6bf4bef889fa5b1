#!/bin/sh
# Lints the .proto files by buf's rules STANDARD, and checks that they break nothing that was released.
set -eu
cd "$(dirname "$0")/.."

if ! buf=$(tools/go-tool.sh buf github.com/bufbuild/buf/cmd/buf@v1.57.2); then
    if [ -n "${CI:-}" ]; then
        echo "proto: FAILED: buf is missing, and Go could not build it" >&2
        exit 1
    fi
    echo "proto: SKIPPED: buf is missing; install it, or install Go"
    exit 0
fi

"$buf" lint
tag=$(git describe --tags --abbrev=0 --match 'v[0-9]*' 2>/dev/null || true)
if [ -n "$tag" ]; then
    "$buf" breaking --against ".git#tag=$tag"
    echo "proto: lint passed, nothing that $tag has is broken"
else
    echo "proto: lint passed; nothing was released yet that could be broken"
fi
