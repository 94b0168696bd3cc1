#!/bin/bash
# package_graph on real lists of packages: what it loads is what a few lines of awk find in the same
# list, and in the end every graph that was dropped is reclaimed and nothing is left.
#
# usage: real_list_test.sh <path of package_graph> [installed]
# With `installed` only the list of what is installed is tried: the other one takes long under
# sanitizers.
set -uo pipefail

# A chaos build would print the seed that it draws.
export REEF_SEED=${REEF_SEED:-$RANDOM}
echo "REEF_SEED=$REEF_SEED"

readonly PROGRAM=${1:?usage: $0 <path of package_graph> [installed]}
readonly INSTALLED=/var/lib/dpkg/status
folder=$(mktemp -d) || exit 1
readonly folder
trap 'rm -rf "$folder"' EXIT
failures=0

fail() {
  echo "FAILED: $1" >&2
  sed 's/^/  stdout: /' "$folder/out" >&2
  sed 's/^/  stderr: /' "$folder/err" | head -n 20 >&2
  ((++failures))
}

# figures <file>: packages, and the clauses of Depends and Pre-Depends, as "63,666 279,872".
figures() {
  awk '
    function thousands(n,   text) {
      for (text = ""; n >= 1000; n = int(n / 1000)) text = sprintf(",%03d%s", n % 1000, text)
      return n text
    }
    /^[^ \t]/ { folds = /^(Pre-)?Depends:/ }
    /^Package:/ { package = $2 }
    /^Version:/ && !(package in seen) { seen[package] = 1; ++packages }
    /^(Pre-)?Depends:/ { ++clauses }
    folds { clauses += gsub(/,/, ",") }
    END { print thousands(packages + 0), thousands(clauses + 0) }' "$1"
}

# check <what> <file to count in> [file for the program]
check() {
  local what=$1 packages clauses made dropped reclaimed
  read -r packages clauses < <(figures "$2")
  if ! "$PROGRAM" --seconds 1 "${@:3}" >"$folder/out" 2>"$folder/err" </dev/null; then
    fail "$what: exit status not 0"
    return
  fi
  [[ ! -s $folder/err ]] || fail "$what: it complains of a list that is sound"
  grep -qE "^  $packages packages and [0-9,]+ virtual names, $clauses dependencies, from " \
    "$folder/out" || fail "$what: not the $packages packages and $clauses dependencies of the list"
  read -r made dropped reclaimed < <(sed -nE \
    's/^  graphs: made ([0-9]+), dropped ([0-9]+), reclaimed ([0-9]+)$/\1 \2 \3/p' "$folder/out")
  if [[ -z ${made:-} ]] || ((made < 2)); then
    fail "$what: no graph was ever replaced"
  elif ((dropped != made || reclaimed != made)); then
    fail "$what: made $made graphs, dropped $dropped, reclaimed $reclaimed"
  fi
  grep -qx '  nothing left' "$folder/out" || fail "$what: something was left"
  grep -qE '^  answers compared .* [1-9][0-9,]*, of which differ 0$' "$folder/out" ||
    fail "$what: no answers compared, or wrong ones"
  echo "$what: $packages packages, $clauses dependencies, ${made:-no} graphs"
}

if [[ ! -s $INSTALLED ]]; then
  echo "no $INSTALLED: this is no Debian system"
  exit 77
fi
check "what is installed" "$INSTALLED" "$INSTALLED"
if [[ ${2:-} != installed ]]; then
  # The program's own choice: what the distribution offers, where its lists are there.
  apt-cache dumpavail >"$folder/offered" 2>/dev/null
  [[ -s $folder/offered ]] || cp "$INSTALLED" "$folder/offered"
  check "what is offered" "$folder/offered"
fi

if ((failures)); then
  echo "$failures checks failed" >&2
  exit 1
fi
echo "all checks passed"
