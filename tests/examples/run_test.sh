#!/bin/bash
# ./run as people meet it: the help names each command, and what it does not understand gets the help
# and exit status 2, before anything is built.
#
# usage: run_test.sh <path of run>
set -uo pipefail

readonly RUN=${1:?usage: $0 <path of run>}
folder=$(mktemp -d) || exit 1
readonly folder
trap 'rm -rf "$folder"' EXIT
failures=0

fail() {
  echo "FAILED: $1" >&2
  sed 's/^/  stdout: /' "$folder/out" | head -n 20 >&2
  sed 's/^/  stderr: /' "$folder/err" | head -n 20 >&2
  ((++failures))
}

run() {
  status=0
  "$RUN" "$@" >"$folder/out" 2>"$folder/err" </dev/null || status=$?
}

# refused <argument>...: the help on stderr, exit status 2, and nothing else happens.
refused() {
  run "$@"
  ((status == 2)) || fail "run $*: exit status $status, not 2"
  [[ ! -s $folder/out ]] || fail "run $*: something on stdout"
  cmp -s "$folder/help" <(tail -n "$(wc -l <"$folder/help")" "$folder/err") ||
    fail "run $*: no help on stderr"
}

run help
cp "$folder/out" "$folder/help"
((status == 0)) || fail "help: exit status $status"
[[ ! -s $folder/err ]] || fail "help: something on stderr"
grep -qxF 'usage: ./run <command>' "$folder/help" || fail "help: no usage"
for word in --help -h; do
  run "$word"
  ((status == 0)) && cmp -s "$folder/help" "$folder/out" || fail "$word: not the help"
done

# Every word that run takes, by its own dispatch, and the work it stands for in the help.
mapfile -t commands < <(sed -n '/^case ${1:-} in$/,/^esac$/s/^  \([a-z]*\)[ )|].*/\1/p' "$RUN" | sort -u)
for command in demo test bench stress check help; do
  [[ " ${commands[*]} " == *" $command "* ]] || fail "run does not know '$command'"
done
for command in "${commands[@]}"; do
  grep -qE "^  $command( \[[a-z]+\])? +[^ ]+ [^ ]+ " "$folder/help" ||
    fail "help: '$command' is not explained"
done

refused
refused ""
refused demonstrate
refused Demo
refused --demo
refused demo extra
refused test extra
refused check extra
refused help extra
refused stress x
refused stress 0
refused stress -5
refused stress 1.5
refused stress 10 20

if ((failures)); then
  echo "$failures checks failed" >&2
  exit 1
fi
echo "all checks passed"
