#!/usr/bin/env bash
# Which contract suites ran on which adapter, and how many behaviours each has. Fails where
# an adapter has none of a suite that it must pass.
set -euo pipefail
cd "$(dirname "$0")/../.."

# adapter: the tests' program, the suite's module there
suites=(
  "directory on SQLite: contract_sqlite directory"
  "directory on PostgreSQL: contract_postgres directory"
  "queue on SQLite: contract_sqlite queue"
  "queue on Kafka: contract_kafka queue"
  "history on SQLite: contract_sqlite history"
  "history on PostgreSQL: history_postgres contract"
  "history on Kafka and PostgreSQL: contract_scaled_out history"
  "idempotency keys on SQLite: contract_sqlite keys"
  "idempotency keys on PostgreSQL: contract_postgres keys"
  "channel Slack: contract_channels slack"
  "channel webhook: contract_channels webhook"
)

programs=$(printf '%s\n' "${suites[@]}" | sed 's/.*: //' | awk '{ print $1 }' | sort -u)
declare -A listed
for program in $programs; do
  listed[$program]=$("${CARGO:-cargo}" test --quiet --workspace --locked --test "$program" -- --list 2>/dev/null)
done
empty=0
echo "contract suites that ran:"
for suite in "${suites[@]}"; do
  read -r program module <<<"${suite##*: }"
  count=$(grep -c "^$module::.*: test$" <<<"${listed[$program]}" || true)
  printf '%6d  %s\n' "$count" "${suite%: *}"
  [ "$count" -gt 0 ] || empty=1
done
[ "$empty" = 0 ] || echo "a suite is empty: an adapter was not held against its port" >&2
exit "$empty"
