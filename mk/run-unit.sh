#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Run cmocka programs, one for each CPU at a time, each with a time limit; show what they print, keep
# it in LOGDIR, and end with the line `N passed, N failed` (a program that dies counts as one more
# failure).
#   mk/run-unit.sh LOGDIR PROGRAM...
set -u

logs=$1/unit
shift
mkdir -p "$logs"
passed=0
failed=0
# shellcheck disable=SC2016 # the inner shell's
printf '%s\n' "$@" | xargs -P "$(nproc)" -I '{}' sh -c '
	log=$1/$(basename "$2")
	timeout -k 5 300 "$2" >"$log.log" 2>&1
	echo $? >"$log.status"' run "$logs" '{}'
for program in "$@"; do
	log=$logs/$(basename "$program").log
	status=$(cat "${log%.log}.status")
	grep -v '^\[ RUN  ' "$log" | sed "s|^|$(basename "$program"): |"
	ok=$(grep -c '^\[       OK \]' "$log")
	bad=$(grep "^\[  FAILED  \] [^0-9]" "$log" | sort -u | wc -l)
	if [ "$status" -ne 0 ] && [ "$bad" -eq 0 ]; then
		echo "$(basename "$program"): ended with status $status (see $log)"
		bad=1
	fi
	passed=$((passed + ok))
	failed=$((failed + bad))
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
