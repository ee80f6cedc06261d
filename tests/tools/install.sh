#!/usr/bin/env bash
# Installs what the tests need and a bare Debian with Rust lacks, and says so first:
# a C and C++ compiler, make, pkg-config and OpenSSL (librdkafka is built from its
# source), PostgreSQL's server, Java and Maven (Kafka's jars), strace, Python with venv.
set -euo pipefail

# The lowest that Kafka runs on.
java=17

missing=()
for pair in cc:build-essential c++:build-essential make:build-essential \
  pkg-config:pkg-config mvn:maven strace:strace python3:python3 mkfs.ext4:e2fsprogs \
  mount:mount setpriv:util-linux; do
  command -v "${pair%%:*}" >/dev/null || [ -x "/sbin/${pair%%:*}" ] || missing+=("${pair##*:}")
done
python3 -c 'import venv, ensurepip' 2>/dev/null || missing+=(python3-venv)
pkg-config --exists openssl 2>/dev/null || missing+=(libssl-dev)
compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || command -v initdb >/dev/null ||
  missing+=(postgresql)
# openjdk version "17.0.15" 2025-04-15
version=$(java -version 2>&1 | sed -n 's/.* version "\([0-9]*\).*/\1/p' || true)
[ "${version:-0}" -ge "$java" ] || missing+=(default-jre-headless)

[ ${#missing[@]} -gt 0 ] || exit 0
mapfile -t missing < <(printf '%s\n' "${missing[@]}" | sort -u)
echo "make test needs, and installs with apt-get: ${missing[*]}" >&2
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}
# The tests start servers of their own: the package is not to start one too.
quiet=/etc/postgresql-common/createcluster.d/error-notifier-tests.conf
if [[ " ${missing[*]} " == *" postgresql "* ]]; then
  as_root mkdir -p "${quiet%/*}"
  echo 'create_main_cluster = false' | as_root tee "$quiet" >/dev/null
  trap 'as_root rm -f "$quiet"' EXIT
fi
as_root apt-get update -qq >&2
as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq "${missing[@]}" >&2
