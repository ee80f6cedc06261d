#!/usr/bin/env bash
# Tries out POST /v1/alerts in the Swagger UI of a running demo.
# Usage: swagger_ui.sh [URL [SCREENSHOT]]
set -euo pipefail
cd "$(dirname "$0")/../.."

if [ ! -x /usr/bin/chromedriver ]; then
  echo "make swagger needs, and installs with apt-get: chromium chromium-driver"
  sudo=()
  [ "$(id -u)" = 0 ] || sudo=(sudo)
  "${sudo[@]}" apt-get update -qq
  DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -y -qq chromium chromium-driver
fi
venv=target/selenium
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -c 'import selenium' 2>/dev/null || "$venv/bin/pip" install --quiet selenium
exec "$venv/bin/python" tests/tools/swagger_ui.py "${1:-http://127.0.0.1:8080}" "${@:2}"
