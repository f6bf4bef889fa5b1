#!/bin/sh
# Checks bans, licenses and sources by deny.toml. Advisories need a database from the network: run
# `cargo deny check advisories` by hand.
set -eu
cd "$(dirname "$0")/.."

if ! cargo deny --version >/dev/null 2>&1; then
    echo "deny: SKIPPED: cargo-deny is missing; \`cargo install --locked cargo-deny\` takes some minutes"
    exit 0
fi
cargo deny --locked check bans licenses sources
