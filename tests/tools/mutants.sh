#!/usr/bin/env bash
# Breaks the delivery engine, one patch of crates/consumer/tests/mutants at a time, in
# a copy of the sources, and runs the short simulation on it; where that notices
# nothing, the unit tests. Prints which noticed and how soon. Fails if none did.
#
# usage: tests/tools/mutants.sh [name...]     e.g. tests/tools/mutants.sh 07
set -euo pipefail
cd "$(dirname "$0")/../.."

root=$PWD
tree=${CARGO_TARGET_DIR:-$root/target}/mutants
seeds=(1 2 3)
export CARGO_TARGET_DIR=$tree/target RUST_BACKTRACE=0 DELIVERIES=${DELIVERIES:-100000}

mkdir -p "$tree/sources"
rm -rf "$tree/sources"/*
git ls-files -z | xargs -0 tar -cf - | tar -xf - -C "$tree/sources"
cd "$tree/sources"

# The program of a test target, built.
program() {
  cargo test --locked -p consumer "$@" --no-run 2>&1 |
    sed -n 's/.*Executable.*(\(.*\))$/\1/p' | tail -1
}

survivors=0
for patch in "$root"/crates/consumer/tests/mutants/*.patch; do
  name=$(basename "$patch" .patch)
  if [ $# -gt 0 ] && ! printf '%s\n' "$@" | grep -qF "${name%%-*}"; then
    continue
  fi
  if [ ! -s "$patch" ]; then
    echo "$name: breaks nothing, the patch is empty" >&2
    exit 1
  fi
  patch --quiet -p1 <"$patch"
  simulation=$(program --test simulation)
  if [ -z "$simulation" ]; then
    echo "$name: does not compile" >&2
    exit 1
  fi
  caught=
  for seed in "${seeds[@]}"; do
    began=$(date +%s.%N)
    if SEED=$seed timeout 300 "$simulation" every_promise --nocapture >"$tree/log" 2>&1; then
      continue
    fi
    took=$(awk -v a="$began" -v b="$(date +%s.%N)" 'BEGIN { printf "%.1f", b - a }')
    what=$(sed -n '/ panicked at /{n;p;q}' "$tree/log")
    when=$(sed -n 's/^after //p' "$tree/log" | tail -1)
    caught="simulation, seed $seed, after ${when:-a hang}, $took s of ours: ${what:-it does not end}"
    break
  done
  if [ -z "$caught" ]; then
    if timeout 300 "$(program --lib)" >"$tree/log" 2>&1; then
      caught="nothing: it SURVIVED"
      survivors=$((survivors + 1))
    else
      caught="unit tests: $(grep -c '\.\.\. FAILED$' "$tree/log") of them"
    fi
  fi
  echo "$name: $caught"
  patch --quiet -R -p1 <"$patch"
done
exit $((survivors > 0))
