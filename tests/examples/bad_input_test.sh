#!/bin/bash
# What package_graph says about input that it cannot use: one clear line and the right exit status,
# and that it skips a stanza that is wrong while it uses the rest.
#
# usage: bad_input_test.sh <path of package_graph>
set -uo pipefail

readonly PROGRAM=${1:?usage: $0 <path of package_graph>}
folder=$(mktemp -d) || exit 1
readonly folder
trap 'rm -rf "$folder"' EXIT
failures=0

# A chaos build would print the seed that it draws among the lines that are counted here.
export REEF_SEED=${REEF_SEED:-$RANDOM}
echo "REEF_SEED=$REEF_SEED"

fail() {
  echo "FAILED: $1" >&2
  sed 's/^/  stdout: /' "$folder/out" | head -n 5 >&2
  sed 's/^/  stderr: /' "$folder/err" | head -n 20 >&2
  ((++failures))
}

# run <argument>...: leaves stdout, stderr and the exit status.
run() {
  status=0
  "$PROGRAM" "$@" >"$folder/out" 2>"$folder/err" </dev/null || status=$?
}

# refused <what> <exit status> <pattern of the line> <argument>...: one line, and nothing is done.
refused() {
  local what=$1 wanted=$2 pattern=$3
  shift 3
  run "$@"
  if ((status != wanted)); then
    fail "$what: exit status $status, not $wanted"
  elif (($(wc -l <"$folder/err") != 1)) || ! grep -qE -- "^package_graph: $pattern" "$folder/err"; then
    fail "$what: not one line like '$pattern'"
  elif [[ -s $folder/out ]]; then
    fail "$what: it printed something although it did nothing"
  fi
}

# says <what> <line>: the line stands on stderr as it is.
says() {
  grep -qxF -- "$2" "$folder/err" || fail "$1: no line '$2'"
}

# ---- the command line ----

refused "unknown option" 2 "unknown option '--speed'" --speed
refused "unknown short option" 2 "unknown option '-x'" -x
refused "option that only begins right" 2 "unknown option '--secondsx'" --secondsx 3
refused "no number" 2 "--seconds takes a number from 1 .*, not 'soon'" --seconds soon
refused "missing number" 2 "--seconds takes a number from 1 .*, not ''" --seconds
refused "zero seconds" 2 "--seconds takes a number from 1 .*, not '0'" --seconds=0
refused "too many workers" 2 "--workers takes a number from 1 .*, not '1000000'" --workers 1000000
refused "two files" 2 "more than one file" /dev/null /dev/null
refused "file without a name" 2 "the name of the file is empty" ""

run --help
[[ $status == 0 && ! -s $folder/err ]] || fail "help: exit status $status"
grep -q '^usage: package_graph' "$folder/out" || fail "help: no usage"

# ---- files that are no package lists ----

: >"$folder/empty"
printf 'Package: a\nVersion: 1\0\n' >"$folder/binary"
printf 'Dear reader,\n\nthis is a letter.\n' >"$folder/letter"
printf '\n \n\n' >"$folder/blank"

refused "missing file" 1 "$folder/missing: cannot be opened: No such file" "$folder/missing"
refused "directory" 1 "$folder: is a directory" "$folder"
refused "device" 1 "/dev/zero: is not a file" /dev/zero
refused "empty file" 1 "$folder/empty: the file is empty" "$folder/empty"
refused "binary file" 1 "$folder/binary: is no package list: byte 21 is NUL" "$folder/binary"
refused "letter" 1 "$folder/letter: is no package list: no stanza names" "$folder/letter"
refused "blank file" 1 "$folder/blank: is no package list: no stanza names" "$folder/blank"

# ---- stanzas that are wrong among good ones ----

list=$folder/mixed
cat >"$list" <<'END'
# A comment.
Package: good
Version: 1.0-1
Depends: libgood (>= 1), other:any | virtual [amd64] <!nocheck>,
 folded
Description: a package
 .
 with a folded description

Version: 2

Package: unversioned
Depends: good

Package: nameless-dependency
Version: 1
Depends: good,, libgood

Package: open-parenthesis
Version: 1
Depends: good,
 libgood (>= 1,
 other

Package: closing-parenthesis
Version: 1
Pre-Depends: libgood (>= 1))

Package: no-parenthesis
Version: 1
Depends: libgood >= 1

Package: compares-nothing
Version: 1
Depends: libgood (>=)

Package: twice
Version: 1
Package: twice-again

Package: torn
Version: 1
this line belongs nowhere

Package: libgood
Version: 2
Provides: virtual (= 1), another
Depends: good
END
run --seconds 1 --workers 2 "$list"
((status == 0)) || fail "mixed list: exit status $status"
says "no Package" "$list:10: stanza skipped: no Package field"
says "no Version" "$list:12: stanza skipped: no Version field in package unversioned"
says "empty name" "$list:17: stanza skipped: empty name in Depends of package nameless-dependency"
says "open (" "$list:22: stanza skipped: unbalanced parenthesis in Depends of package open-parenthesis"
says "lone )" "$list:27: stanza skipped: unbalanced parenthesis in Pre-Depends of package closing-parenthesis"
says "no (" "$list:31: stanza skipped: unexpected '>' in Depends of package no-parenthesis"
says "no operand" \
  "$list:35: stanza skipped: a version constraint that compares nothing in Depends of package compares-nothing"
says "two stanzas in one" "$list:39: stanza skipped: a second Package field; is an empty line missing?"
says "stray line" "$list:43: stanza skipped: a line that is no \"Field: value\""
(($(wc -l <"$folder/err") == 9)) || fail "mixed list: other than nine lines about nine stanzas"
grep -q '^  2 packages and 4 virtual names, 4 dependencies,' "$folder/out" ||
  fail "mixed list: the good stanzas were not used"
grep -qx '  nothing left' "$folder/out" || fail "mixed list: something was left"

# ---- many of them, cut into parts by several threads ----

list=$folder/many
for ((i = 0; i < 400; ++i)); do
  ((i % 20 == 19)) && printf 'Package: bad%d\n\n' "$i" || printf 'Package: p%d\nVersion: 1\n\n' "$i"
done >"$list"
run --seconds 1 "$list"
((status == 0)) || fail "many bad stanzas: exit status $status"
# Nineteen stanzas of three lines and a bad one of two, over and over.
for ((i = 1; i <= 20; ++i)); do
  printf '%s:%d: stanza skipped: no Version field in package bad%d\n' \
    "$list" $((59 * i - 1)) $((20 * i - 1))
done >"$folder/wanted"
cmp -s "$folder/wanted" "$folder/err" || fail "many bad stanzas: other than a line for each, in order"
grep -qx '  20 bad stanzas, skipped' "$folder/out" || fail "many bad stanzas: not counted"

list=$folder/all_bad
printf 'Package: a\n\nPackage: b\nVersion: \n' >"$list"
run --seconds 1 "$list"
((status == 1)) || fail "all bad: exit status $status, not 1"
says "all bad" "package_graph: $list: no stanza is usable"

# ---- a list through a pipe, with another system's line ends and no last one ----

run --seconds 1 <(printf 'Package: a\r\nVersion: 1\r\n\r\nPackage: b\r\nDepends: a\r\nVersion: 1')
((status == 0)) || fail "pipe: exit status $status"
grep -q '^  2 packages and 0 virtual names, 1 dependencies,' "$folder/out" ||
  fail "pipe: the stanzas were not understood"

if ((failures)); then
  echo "$failures checks failed" >&2
  exit 1
fi
echo "all checks passed"
