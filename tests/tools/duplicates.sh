#!/usr/bin/env bash
# Fails when a dependency is compiled in two versions without a reason below.
set -euo pipefail

# name: why two versions are accepted
declare -A accepted=(
  [syn]="runs at build time, inside derive macros that move to version 3 one by one"
  [rand_core]="imbl is a version behind rand"
  [base64]="tokio-postgres is a version behind"
  [const-oid]="x509-cert, by which tokio-postgres-rustls binds log-ins to the TLS channel, is a version behind sha2"
  [fallible-iterator]="tokio-postgres is a version behind rusqlite"
)

duplicates=$(cargo tree --workspace --duplicates --edges normal --depth 0 --prefix none --locked |
  awk 'NF { print $1 " " $2 }' | sort -u | awk '{ print $1 }' | uniq -d)
bad=0
for name in $duplicates; do
  if [ -z "${accepted[$name]+x}" ]; then
    echo "$name is compiled in several versions; give a reason in $0 or mend it:"
    cargo tree --workspace --duplicates --edges normal --locked -i "$name" 2>/dev/null | head -20 || true
    bad=1
  fi
done
exit $bad
