#!/usr/bin/env bash
# What the action runs: a check, for the log and for code scanning, and for a pull request a review, in the job's summary. The status is the worse one.
set -uo pipefail

fail_on=${HAVENLINT_FAIL_ON:-error}
summary=${GITHUB_STEP_SUMMARY:-/dev/null}
paths=()
while IFS= read -r path; do
    [ -z "$path" ] || paths+=("$path")
done <<<"${HAVENLINT_PATHS:-}"

havenlint check --fail-on "$fail_on" --format github --format sarif=havenlint.sarif --format markdown=havenlint.md -- ${paths[@]+"${paths[@]}"}
status=$?
[ ! -f havenlint.md ] || cat havenlint.md >>"$summary"

if [ -n "${HAVENLINT_BASE:-}" ]; then
    agreed=()
    [ "${HAVENLINT_ACCEPT_POLICY:-}" != true ] || agreed+=(--accept-policy)
    havenlint review --base "$HAVENLINT_BASE" --fail-on "$fail_on" ${agreed[@]+"${agreed[@]}"} -- ${paths[@]+"${paths[@]}"} >>"$summary"
    reviewed=$?
    [ "$reviewed" -le "$status" ] || status=$reviewed
fi
exit "$status"
