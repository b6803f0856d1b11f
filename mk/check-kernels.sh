#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Run the tests of `make check-kernel` with each kernel; print a line for each, and last the sum. A
# failure does not stop the others.
#   mk/check-kernels.sh LOGDIR GUEST...
set -u

logs=$1
shift
mkdir -p "$logs"
unset MAKEFLAGS MAKELEVEL MFLAGS
passed=0
failed=0
for guest in "$@"; do
	log=$logs/kernel-$guest.log
	if "${MAKE:-make}" -j2 GUEST="$guest" check-kernel >"$log" 2>&1 </dev/null; then
		passed=$((passed + 1))
	else
		failed=$((failed + 1))
		grep -E '^(FAILED|ERROR)|\*\*\*' "$log"
	fi
	result=$(grep -E '[0-9]+ (passed|failed|error)' "$log" | tail -n 1)
	release=$(cat "build/guest/$guest/release" 2>/dev/null)
	echo "$guest (${release:-not there}): ${result:-did not run} ($log)"
done
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
