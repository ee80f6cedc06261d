#!/usr/bin/env bash
# Installs what the tests need and a bare Debian with Rust lacks: a C compiler,
# strace, Python with venv. Says so first.
set -euo pipefail

missing=()
for pair in cc:build-essential strace:strace python3:python3 mkfs.ext4:e2fsprogs mount:mount; do
  command -v "${pair%%:*}" >/dev/null || [ -x "/sbin/${pair%%:*}" ] || missing+=("${pair##*:}")
done
python3 -c 'import venv, ensurepip' 2>/dev/null || missing+=(python3-venv)

if [ ${#missing[@]} -gt 0 ]; then
  echo "make test needs, and installs with apt-get: ${missing[*]}"
  sudo=()
  [ "$(id -u)" = 0 ] || sudo=(sudo)
  "${sudo[@]}" apt-get update -qq
  DEBIAN_FRONTEND=noninteractive "${sudo[@]}" apt-get install -y -qq "${missing[@]}"
fi
