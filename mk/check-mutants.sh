#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# For each line of LIST (name, program, tests): build the program with only that point of the code
# left out (lib/mutate.h), and see that the tests fail. Ends with the line `N passed, N failed`.
#   mk/check-mutants.sh LIST FOLDER MAKE
set -u

list=$1
dir=$2
make=$3
passed=0
failed=0
mkdir -p "$dir"

while read -r name program tests; do
	case $name in "" | "#"*) continue ;; esac
	log=$dir/$name.log
	if ! "$make" -s MUTATE="$name" "$dir/$name/$program" >"$log" 2>&1 </dev/null; then
		echo "$name: does not build (see $log)"
		failed=$((failed + 1))
		continue
	fi
	timeout -k 5 120 "$dir/$name/$program" >"$log" 2>&1 </dev/null
	for test in $tests; do
		if grep -qF "[  FAILED  ] $test" "$log"; then
			echo "$name: $program: $test fails, as it must"
			passed=$((passed + 1))
		else
			echo "$name: $program: $test DOES NOT FAIL (see $log)"
			failed=$((failed + 1))
		fi
	done
done <"$list"
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
