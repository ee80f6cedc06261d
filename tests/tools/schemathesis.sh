#!/usr/bin/env bash
# Holds the program against its own OpenAPI document: schemathesis makes up requests from
# it, right ones and wrong ones, alone and one after the other (stateful), and checks every
# answer in all the ways it knows. Once with an API token, once open on loopback.
# `schemathesis.sh [EXAMPLES [SEED]]`, EXAMPLES an operation.
#
# schemathesis is installed once, from PyPI, into <target>/schemathesis.
set -euo pipefail
cd "$(dirname "$0")/../.."

examples=${1:-100}
seed=${2:-}
own=$PWD/tests/tools/schemathesis
target=${CARGO_TARGET_DIR:-target}
mkdir -p "$target/schemathesis"
target=$(cd "$target" && pwd)
venv=$target/schemathesis/venv

if ! cmp -s "$own/requirements.txt" "$venv/installed.txt"; then
  rm -rf "$venv"
  python3 -m venv "$venv"
  "$venv/bin/pip" install --quiet --no-deps --requirement "$own/requirements.txt"
  cp "$own/requirements.txt" "$venv/installed.txt"
fi

binary=${ERROR_NOTIFIER_BIN:-$target/release/error-notifier}
[ -x "$binary" ] || binary=$target/debug/error-notifier
[ -x "$binary" ] || "${CARGO:-cargo}" build --locked -p error-notifier

scratch=$(mktemp -d "$target/schemathesis/run.XXXXXX")
started=()
finish() {
  kill "${started[@]}" 2>/dev/null || true
  wait "${started[@]}" 2>/dev/null || true
}
trap 'finish; rm -rf "$scratch"' EXIT

free_port() {
  python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'
}

reached() { # url
  for _ in $(seq 200); do
    curl --silent --fail --output /dev/null "$1" && return
    sleep 0.05
  done
  echo "nothing answers at $1; see $scratch" >&2
  return 1
}

# Runs all of it against a program of its own: attack NAME [OPTION…]
attack() {
  local name=$1 url slack
  shift
  url=http://127.0.0.1:$(free_port) slack=http://127.0.0.1:$(free_port)
  "$binary" mockup --listen "${slack#http://}" >/dev/null 2>"$scratch/mockup.log" &
  started+=($!)
  "$binary" serve --listen "${url#http://}" --data-dir "$scratch/$name" --slack-url "$slack" \
    >/dev/null 2>"$scratch/$name.log" &
  started+=($!)
  reached "$slack/_mock/stats"
  reached "$url/health/ready"
  # Some deliveries die, so that there is something to replay.
  curl --silent --fail -X PUT "$slack/_mock/faults" \
    -d '{"errorRate":0.2,"error":"channel_not_found"}' >/dev/null
  curl --silent --fail "$url/v1/directory" "${headers[@]}" \
    -H 'Content-Type: application/x-ndjson' --data-binary @crates/error-notifier/src/run/sample.jsonl >/dev/null

  # And there is always something to say on a stream of events.
  while curl --silent --output /dev/null "$url/v1/alerts" "${headers[@]}" \
    -H 'Content-Type: application/json' -d '{"target":["@nobody"],"severity":"low","message":"m"}'; do
    sleep 0.1
  done &
  started+=($!)

  echo "== $name, $examples examples an operation"
  local began=$SECONDS result=0
  (cd "$scratch" && SCHEMATHESIS_HOOKS=hooks PYTHONPATH=$own PYTHONDONTWRITEBYTECODE=1 \
    "$venv/bin/schemathesis" --config-file "$own/schemathesis.toml" \
    run "$url/v3/api-docs" --no-color --max-examples "$examples" ${seed:+--seed "$seed"} \
    "${headers[@]}" "$@") || result=$?
  echo "== $name: $((SECONDS - began)) s, requests by status:$(
    sed -n 's/.* request method=.* status=\([0-9]*\) .*/\1/p' "$scratch/$name.log" | sort | uniq -c |
      awk '{ printf " %s × %s", $1, $2 }'
  )"
  if grep -m5 -E 'panicked| ERROR ' "$scratch/$name.log" >&2; then result=1; fi
  finish
  started=()
  return "$result"
}

bad=0
headers=()
made=$("$binary" token create schemathesis --scope admin --offline --json --data-dir "$scratch/with a token")
field() { python3 -c 'import json, sys; print(json.load(sys.stdin)[sys.argv[1]])' "$1" <<<"$made"; }
OWN_TOKEN_ID=$(field id)
export OWN_TOKEN_ID
headers=(-H "Authorization: Bearer $(field token)")
attack "with a token" || bad=1

# Open until there is a token: whoever makes one there closes it.
headers=()
unset OWN_TOKEN_ID
attack "without a token" --exclude-name "POST /v1/tokens" || bad=1
exit $bad
