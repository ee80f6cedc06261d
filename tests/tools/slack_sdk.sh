#!/usr/bin/env bash
# Slack's own Python SDK against the mockup: it must be taken in by it.
set -euo pipefail
cd "$(dirname "$0")/../.."

venv=target/slack-sdk
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -c 'import slack_sdk' 2>/dev/null || "$venv/bin/pip" install --quiet slack_sdk

binary=${ERROR_NOTIFIER_BIN:-${CARGO_TARGET_DIR:-target}/debug/error-notifier}
[ -x "$binary" ] || cargo build --locked -p error-notifier
address=127.0.0.1:$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
"$binary" mockup --listen "$address" 2>/dev/null &
mockup=$!
trap 'kill "$mockup" 2>/dev/null || true' EXIT
for _ in $(seq 100); do
  python3 -c "import urllib.request as u; u.urlopen('http://$address/_mock/stats')" 2>/dev/null && break
  sleep 0.05
done
"$venv/bin/python" crates/mockup/tests/with_slack_sdk.py "http://$address"
