#!/bin/bash
# usage: differential_test.sh <scenarios program> <python3>
# Runs the same scenarios in Python and on Reef, and compares what they print.
set -uo pipefail
here=$(cd "$(dirname "$0")" && pwd)
expected=$("$2" "$here/scenarios.py") || { echo "scenarios.py failed"; exit 1; }
seen=$("$1") || { echo "scenarios.cc failed with status $?"; exit 1; }
[[ $(grep -c '^-- ' <<<"$expected") -ge 15 ]] || { echo "Python ran too few scenarios"; exit 1; }
diff <(echo "$expected") <(echo "$seen") || { echo "Python is on the left, Reef on the right"; exit 1; }
echo "$(grep -c '^-- ' <<<"$expected") scenarios print the same"
