#!/usr/bin/env bash
# Measures the scenarios in $1 (all where it is empty), and by turns with them the revision
# $2, which it builds, where one is given. $3 deliveries wait where many are to.
set -euo pipefail
cd "$(dirname "$0")/.."
target=${CARGO_TARGET_DIR:-target}
export ERROR_NOTIFIER_BIN="$target/release/error-notifier"
against=()
if [ -n "${2:-}" ]; then
  revision=$(git rev-parse --verify --quiet "$2^{commit}") || {
    echo "there is no revision $2" >&2
    exit 2
  }
  source="$target/bench/source"
  rm -rf "$source"
  mkdir -p "$source"
  git archive "$revision" | tar -x -C "$source"
  cargo build --release --locked --manifest-path "$source/Cargo.toml" -p error-notifier \
    --target-dir "$target/bench/built"
  against=(--against "$target/bench/built/release/error-notifier")
fi
read -ra scenarios <<<"${1:-}"
exec "$target/release/bench" "${against[@]}" ${3:+--deliveries "$3"} "${scenarios[@]}"
