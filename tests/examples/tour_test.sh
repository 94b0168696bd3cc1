#!/bin/bash
# What the programs of the tour print: the counts, the moment of a destruction, the cycle's number.
#
# usage: tour_test.sh <folder of the tour's programs>
set -uo pipefail

readonly FOLDER=${1:?usage: $0 <folder of the tour\'s programs>}
folder=$(mktemp -d) || exit 1
readonly folder
trap 'rm -rf "$folder"' EXIT
failures=0
tried=()

# A chaos build would print the seed that it draws.
export REEF_SEED=${REEF_SEED:-$RANDOM}
echo "REEF_SEED=$REEF_SEED"

fail() {
  echo "FAILED: $1" >&2
  sed 's/^/  stdout: /' "$folder/out" >&2
  sed 's/^/  stderr: /' "$folder/err" | head -n 20 >&2
  ((++failures))
}

# run <program>: it ends well and says nothing on stderr.
run() {
  program=$1
  tried+=("$program")
  local status=0
  "$FOLDER/$program" >"$folder/out" 2>"$folder/err" </dev/null || status=$?
  ((status == 0)) || fail "$program: exit status $status"
  [[ ! -s $folder/err ]] || fail "$program: something on stderr"
}

# prints <line>...: these lines stand there, one right after the other, but for leading blanks.
prints() {
  printf '%s\n' "$@" >"$folder/wanted"
  sed 's/^ *//' "$folder/out" | awk -v count=$# '
    NR == FNR { wanted[NR] = $0; next }
    { line[++lines] = $0 }
    END {
      for (i = 1; i + count - 1 <= lines; ++i) {
        for (j = 1; j <= count && line[i + j - 1] == wanted[j]; ++j) {}
        if (j > count) exit 0
      }
      exit 1
    }' "$folder/wanted" - || fail "$program: no '$*'"
}

run tour_01_names
prints "sys.getrefcount(x)  4     RefCount(x)  4" "len(x)              4     x->size()    4"

run tour_02_destructor
prints before "Object destroyed" after

run tour_03_cycle
prints "gc.collect()  2           heap.Collect().objects  2"
prints "Alive without a name: 2. After the collection: 0."

run tour_04_threads
prints "reads gone wrong   0" "current greeting   Hello from version 100000" "versions left      0"

# A program that is new in the tour is new here as well.
for path in "$FOLDER"/tour_*; do
  [[ -f $path && -x $path && " ${tried[*]} " != *" ${path##*/} "* ]] || continue
  echo "FAILED: ${path##*/} is not tried here" >&2
  ((++failures))
done

if ((failures)); then
  echo "$failures checks failed" >&2
  exit 1
fi
echo "all checks passed"
