#!/usr/bin/env bash
# Looks at what the program is made of, with cargo-deny: licences, bans, sources, and known
# vulnerabilities where their database can be reached. `supply_chain.sh sbom` writes the
# list of it all instead, as CycloneDX, with cargo-cyclonedx.
#
# The two are installed once, from crates.io, into <target>/tools.
set -euo pipefail
cd "$(dirname "$0")/../.."

deny=0.20.2
cyclonedx=0.5.9
target=${CARGO_TARGET_DIR:-target}
mkdir -p "$target/tools"
tools=$(cd "$target/tools" && pwd)

need() { # name version
  if ! grep -q "^\"$1 $2 " "$tools/.crates.toml" 2>/dev/null; then
    echo "installing $1 $2 into $tools" >&2
    cargo install --quiet --locked --root "$tools" --target-dir "$tools/build" --version "=$2" "$1" >&2
    rm -rf "$tools/build"
  fi
}

if [ "${1:-}" = sbom ]; then
  need cargo-cyclonedx "$cyclonedx"
  "$tools/bin/cargo-cyclonedx" cyclonedx --quiet --manifest-path crates/error-notifier/Cargo.toml \
    --format json --target x86_64-unknown-linux-gnu --override-filename error-notifier.cdx
  # One is written for each of our crates; the program's has all.
  mv crates/error-notifier/error-notifier.cdx.json "$target/"
  find crates adapters tests bench -maxdepth 2 -name error-notifier.cdx.json -delete 2>/dev/null || true
  echo "$target/error-notifier.cdx.json: $(grep -c '"bom-ref": "registry' "$target/error-notifier.cdx.json") components"
  exit
fi

need cargo-deny "$deny"
"$tools/bin/cargo-deny" --locked check licenses bans sources
echo "crates in Cargo.lock: $(grep -c '^\[\[package' Cargo.lock)"
# Advisories are in a repository of their own, which not every machine may reach.
log=$tools/advisories.log
if "$tools/bin/cargo-deny" --locked check advisories >"$log" 2>&1; then
  echo "advisories ok"
elif grep -qi 'failed to fetch advisory database\|unable to fetch\|failed to load advisory' "$log"; then
  echo "advisories NOT CHECKED: their database cannot be reached from here ($log)" >&2
else
  cat "$log"
  exit 1
fi
