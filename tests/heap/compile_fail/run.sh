#!/bin/bash
# Compiles every .cc beside it: one with the line `// EXPECT: compiles` must compile, each other must
# fail with the words of its `// EXPECT: ...` line in what the compiler says.
#
# usage: run.sh <compiler> [flags]...        for example run.sh g++ -std=c++20 -Iinclude
set -uo pipefail
(($# >= 1)) || {
  sed -n '2,5s/^# \{0,1\}//p' "$0" >&2
  exit 2
}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
failed=0 checked=0 controls=0

# wrong <file> <what>: the compiler's output follows.
wrong() {
  echo "$(basename "$1"): $2"
  head -n 20 <<<"$said" | sed 's/^/  | /'
  failed=1
}

for source in "$here"/*.cc; do
  expected=$(sed -n 's|^// EXPECT: ||p' "$source")
  said=$("$@" -fsyntax-only "$source" 2>&1)
  status=$?
  ((++checked))
  # The words may be broken over lines, and compilers differ in the quotes around them.
  flat=$(tr -s '[:space:]' ' ' <<<"$said")
  if [[ -z $expected ]]; then
    wrong "$source" "has no EXPECT line"
  elif [[ $expected == compiles ]]; then
    ((++controls))
    ((status == 0)) || wrong "$source" "does not compile, but should"
  elif ((status == 0)); then
    wrong "$source" "compiles, but should fail with: $expected"
  elif [[ $flat != *"$expected"* ]]; then
    wrong "$source" "fails, but not with: $expected"
  fi
done

((controls > 0)) || {
  echo "no file expects to compile: the flags may be wrong for all of them"
  failed=1
}
((failed)) || echo "$checked files behave as they say"
exit "$failed"
