#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# All stages of `make check`, or with `long` of `make check-long`, each with its log in LOGDIR; a stage
# that fails does not stop the later ones. The last line is `N passed, N failed` over all of them; the
# status says the same.
#   mk/check.sh LOGDIR [long]
set -u

logs=$1
length=${2:-short}
mkdir -p "$logs"
passed=0
failed=0

# Run a make target. `counts`: its output has the figures; else it counts as one.
stage() { # name, target (and variables), whether it counts
	log=$logs/$1.log
	echo "== $1"
	start=$(date +%s)
	# shellcheck disable=SC2086 # words of make's
	"${MAKE:-make}" -k -j2 $2 >"$log" 2>&1 </dev/null
	status=$?
	ok=0
	bad=0
	if [ "$3" = counts ]; then
		# cmocka runner: "5 passed, 0 failed"; pytest: "1 failed, 4 passed, 1 error in 9.0s"
		line=$(grep -E '^[^a-z]*[0-9]+ (passed|failed|error)' "$log" | tail -n 1)
		ok=$(echo "$line" | sed -nE 's/.*\b([0-9]+) passed.*/\1/p')
		bad=$(echo "$line" | sed -nE 's/.*\b([0-9]+) failed.*/\1/p')
		errors=$(echo "$line" | sed -nE 's/.*\b([0-9]+) errors?.*/\1/p')
		ok=${ok:-0}
		bad=$((${bad:-0} + ${errors:-0}))
	elif [ $status -eq 0 ]; then
		ok=1
	fi
	# a stage that fails without a failed test, or runs nothing, is a failure itself
	if [ $status -ne 0 ] && [ "$bad" -eq 0 ]; then
		bad=1
	fi
	if [ $((ok + bad)) -eq 0 ]; then
		bad=1
	fi
	if [ "$bad" -ne 0 ]; then
		tail -n 40 "$log"
	elif [ "$3" = counts ]; then
		grep -h 'measured ' "$log"
	fi
	echo "   $ok passed, $bad failed in $(($(date +%s) - start)) s ($log)"
	passed=$((passed + ok))
	failed=$((failed + bad))
}

unset MAKEFLAGS MAKELEVEL MFLAGS
if [ "$length" = long ]; then
	stage kernels check-kernels counts
	stage boot check-boot counts
	stage races check-races counts
	stage disk check-disk counts
	stage soak soak counts
else
	stage build all -
	stage lint lint -
	stage unit check-unit counts
	stage model check-model counts
	stage mutants check-mutants counts
	stage kernel 'check-kernel GUEST=6.12-cloud-amd64' counts
	stage fixes check-fixes counts
	stage qemu check-qemu counts
fi
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
