#!/bin/sh
# Runs the official OpenFeature providers against `assay serve`: flagd and OFREP, in Python, Node, the browser's and Rust's. They are
# installed from their registries into a temporary directory; the platform gets free ports and a data directory there.
set -eu
cd "$(dirname "$0")/.."

missing=
for tool in node npm python3; do
    command -v "$tool" >/dev/null || missing="$missing $tool"
done
skip() {
    if [ -n "${OPENFEATURE_REQUIRED:-}" ]; then
        echo "openfeature: FAILED: $1" >&2
        exit 1
    fi
    echo "openfeature: SKIPPED: $1"
    exit 0
}
[ -z "$missing" ] || skip "missing:$missing"

cargo build --locked -p assay-cli
ASSAY=${CARGO_TARGET_DIR:-$PWD/target}/debug/assay
SCENARIOS=$PWD/tests/openfeature
WORK=$(mktemp -d)
SERVER=$SCENARIOS/server.sh
export ASSAY WORK SERVER

end() {
    status=$?
    if [ -f "$WORK/assay.pid" ]; then
        kill "$(cat "$WORK/assay.pid")" 2>/dev/null || true
    fi
    if [ "$status" -ne 0 ] && [ -f "$WORK/assay.log" ]; then
        echo "openfeature: the end of what assay has said:" >&2
        tail -n 20 "$WORK/assay.log" >&2
    fi
    rm -rf "$WORK"
    exit "$status"
}
trap end EXIT
trap 'exit 130' INT TERM

# What a registry does not give says nothing about us; what is installed must pass.
python3 -m venv "$WORK/venv" || skip "python3 makes no virtual environment"
"$WORK/venv/bin/pip" install --quiet --disable-pip-version-check -r "$SCENARIOS/python/requirements.txt" ||
    skip "the Python registry does not give the providers"
mkdir "$WORK/node"
cp "$SCENARIOS"/node/* "$WORK/node/"
(cd "$WORK/node" && npm ci --silent --ignore-scripts) || skip "the Node registry does not give the providers"

# Ports that are free now.
ports=$("$WORK/venv/bin/python" - <<'PYTHON'
import socket

sockets = [socket.socket() for _ in range(6)]
for one in sockets:
    one.bind(("127.0.0.1", 0))
print(*[one.getsockname()[1] for one in sockets])
PYTHON
)
set -- $ports
export ASSAY__CONFIG__LISTEN="127.0.0.1:$1" ASSAY__CLIENT__CONFIG="http://127.0.0.1:$1"
export ASSAY__ASSIGNMENT__LISTEN="127.0.0.1:$2" ASSAY__CLIENT__ASSIGNMENT="http://127.0.0.1:$2"
export ASSAY__INGEST__LISTEN="127.0.0.1:$3" ASSAY__CLIENT__INGEST="http://127.0.0.1:$3"
export ASSAY__ANALYSIS__LISTEN="127.0.0.1:$4" ASSAY__CLIENT__ANALYSIS="http://127.0.0.1:$4"
export ASSAY__OPENFEATURE__FLAGD_LISTEN="127.0.0.1:$5" FLAGD_PORT="$5"
export ASSAY__OPENFEATURE__OFREP_LISTEN="127.0.0.1:$6" OFREP_URL="http://127.0.0.1:$6"
export ASSAY__STORES__DATA_DIR="$WORK/data"

"$SERVER" start
"$ASSAY" apply -f "$SCENARIOS/seed.yaml" --reason 'scenarios of the providers' >/dev/null
for experiment in gate-test paused-test done-test; do
    "$ASSAY" experiment start "$experiment" >/dev/null
done
"$ASSAY" experiment pause paused-test >/dev/null
"$ASSAY" experiment declare-winner done-test new --force --reason 'for the scenarios' --wait >/dev/null

"$WORK/venv/bin/python" "$SCENARIOS/python/flagd.py"
"$WORK/venv/bin/python" "$SCENARIOS/python/ofrep.py"
(cd "$WORK/node" && node flagd.mjs && node ofrep.mjs && node web.mjs && node ofrep_web.mjs)
if [ -n "${OPENFEATURE_SKIP_RUST:-}" ]; then
    echo "openfeature: SKIPPED: the Rust provider, as asked for"
else
    cargo run --quiet --locked --manifest-path "$SCENARIOS/rust/Cargo.toml" \
        --target-dir "${CARGO_TARGET_DIR:-$PWD/target}/openfeature"
fi
echo "openfeature: passed"
