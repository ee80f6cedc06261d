#!/usr/bin/env bash
# Runs each target of fuzz/ for so many minutes, one after the other, and prints how many
# inputs it tried and how many broke it. `fuzz.sh MINUTES [TARGET…]`.
#
# libFuzzer, led by coverage, on the stable toolchain: LLVM's coverage is a flag of code
# generation, and only its sanitizers would need a nightly one. New inputs that reach new
# code are kept below <target>; what broke a target is named.
set -euo pipefail
cd "$(dirname "$0")/../../fuzz"

minutes=${1:-10}
shift || true
targets=("$@")
if [ ${#targets[@]} = 0 ]; then
  mapfile -t targets < <(basename -s .rs src/bin/*.rs)
fi
target=${CARGO_TARGET_DIR:-$PWD/../target}/fuzz
mkdir -p "$target"

export RUSTFLAGS="--cfg fuzzing -Cpasses=sancov-module -Cllvm-args=-sanitizer-coverage-level=4 \
  -Cllvm-args=-sanitizer-coverage-inline-8bit-counters -Cllvm-args=-sanitizer-coverage-pc-table \
  -Cllvm-args=-sanitizer-coverage-trace-compares"
host=$(rustc -vV | sed -n 's/^host: //p')
# With --target, so that build scripts and macros, which run without libFuzzer, are built
# without the flags.
CARGO_INCREMENTAL=0 "${CARGO:-cargo}" build --quiet --release --locked --target "$host" --target-dir "$target"

# An input that took too long once may have met a machine that stood still: it counts where
# it takes too long again, alone.
forget_what_was_not_slow() {
  local input
  find "$2" -type f \( -name 'timeout-*' -o -name 'slow-unit-*' \) | while read -r input; do
    if "$1" -timeout=10 "$input" >/dev/null 2>&1; then
      rm "$input"
      echo "not slow when tried again: $input" >&2
    fi
  done
}

bad=0
echo "| target | inputs tried | corpus | crashes |"
echo "|---|---|---|---|"
for name in "${targets[@]}"; do
  corpus=$target/corpus/$name artifacts=$target/artifacts/$name
  mkdir -p "$corpus" "$artifacts"
  log=$target/$name.log
  ended=0
  "$target/$host/release/$name" "$corpus" "corpus/$name" -max_total_time=$((minutes * 60)) \
    -print_final_stats=1 -timeout=10 -rss_limit_mb=2048 -max_len=8192 \
    -artifact_prefix="$artifacts/" >"$log" 2>&1 || ended=$?
  forget_what_was_not_slow "$target/$host/release/$name" "$artifacts"
  tried=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
  # One that could not begin has tried nothing.
  [ "${tried:-0}" -gt 0 ] || { tail -n 5 "$log" >&2; bad=1; }
  # 70 is libFuzzer's word for an input that took too long, which was tried again.
  case $ended in 0 | 70) ;; *) bad=1 ;; esac
  crashes=$(find "$artifacts" -type f | wc -l)
  echo "| $name | ${tried:-0} | $(find "$corpus" "corpus/$name" -type f | wc -l) | $crashes |"
  [ "$crashes" = 0 ] || { find "$artifacts" -type f >&2; tail -n 30 "$log" >&2; bad=1; }
done
exit $bad
