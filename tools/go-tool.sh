#!/bin/sh
# usage: go-tool.sh NAME MODULE@VERSION
# Prints the path of a Go program for our checks: the one in tools/bin (this version), which Go builds on first use,
# else the one in PATH. Fails when there is neither.
set -eu
name=$1 module=$2
bin=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)/bin
stamp=$bin/$name.version

if [ -x "$bin/$name" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$module" ]; then
    echo "$bin/$name"
    exit 0
fi
if command -v go >/dev/null 2>&1; then
    mkdir -p "$bin"
    echo '*' > "$bin/.gitignore"
    echo "building $module" >&2
    if log=$(GOBIN=$bin go install "$module" 2>&1); then
        echo "$module" > "$stamp"
        echo "$bin/$name"
        exit 0
    fi
    echo "$log" | tail -n 5 >&2
fi
command -v "$name"
