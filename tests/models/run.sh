#!/bin/bash
# Checks every protocol model with Spin: each base configuration must pass exhaustively, each
# mutation (a key step taken out) must fail with an assertion.
#
#   run.sh [BUILD_DIR] [MODEL...]     BUILD_DIR "" or absent: a temporary one, removed afterwards
#
# One line per run; the last line is 'N passed, M failed'; exit status 0 only if M is 0.
# REEF_MODEL_JOBS: runs at a time (2). REEF_MODEL_SECONDS: the longest a run may take (300).
set -eu

models=(count roots mark rendezvous hazard grace published peeked weak door clear ephemeron atomic_weak bell orphans slab fork)

# model | expected | switches
runs() {
  cat <<'LIST'
count|pass|
count|fail|-DNO_BUSY_TEST
count|fail|-DNO_BUSY_STORE
count|fail|-DBUSY_LATE
count|fail|-DNO_BUSY_CLEAR
count|fail|-DNO_MEMBARRIER
count|fail|-DLOCAL_THEN_BUSY
count|fail|-DNO_REREAD
count|fail|-DWRITE_AFTER
count|fail|-DHELP_LOCALZERO
count|fail|-DSUM_RULE_ONLY
count|fail|-DEXT_RULE_ONLY
count|fail|-DDOWN_FIRST
count|fail|-DBLIND_ZERO
count|pass|-DCLAIM
count|fail|-DCLAIM -DCLAIM_BLIND
count|fail|-DCLAIM -DCLAIM_LOCAL_LAST
count|fail|-DCLAIM -DCLAIM_REVOKING
roots|pass|-DOPS0=1 -DOPS1=1
roots|pass|-DOPS0=1 -DOPS1=1 -DNO_LOG_COPY
roots|pass|-DCASE=4 -DOPS0=2 -DOPS1=0 -DNO_LOG_COPY
roots|pass|-DCASE=12 -DOPS0=2 -DOPS1=1
roots|pass|-DCASE=12 -DOPS0=2 -DOPS1=1 -DNO_LOG_LOCAL
roots|pass|-DCASE=12 -DOPS0=2 -DOPS1=1 -DNO_LOG_MERGE
roots|pass|-DCASE=4 -DOPS0=1 -DOPS1=1 -DMERGE_TORN
roots|pass|-DOPS0=1 -DOPS1=1 -DMERGED_LOCAL
roots|pass|-DCASE=2 -DOPS0=1 -DOPS1=1 -DSPILL_SWAPPED
roots|fail|-DOPS0=1 -DOPS1=1 -DREVOKING_EMPTY
roots|fail|-DOPS0=1 -DOPS1=1 -DSCAN_LOCAL_ONLY
roots|fail|-DOPS0=1 -DOPS1=1 -DSCAN_SHARED_ONLY
roots|fail|-DOPS0=1 -DOPS1=1 -DSCAN_SWAPPED
roots|fail|-DOPS0=1 -DOPS1=1 -DSHARE_SWAPPED
roots|fail|-DOPS0=1 -DOPS1=1 -DADOPT_ARMED
roots|fail|-DOPS0=1 -DOPS1=1 -DADOPT_EARLY
roots|fail|-DOPS0=1 -DOPS1=1 -DQUEUED_HEAP
roots|fail|-DOPS0=1 -DOPS1=1 -DNO_LOG_EDGE
roots|fail|-DOPS0=1 -DOPS1=1 -DNO_LOG_CONVERT
roots|fail|-DCASE=12 -DOPS0=2 -DOPS1=1 -DNO_LOG_SHARED
roots|fail|-DCASE=7 -DOPS0=3 -DOPS1=0 -DNO_LOG_COPY -DNO_LOG_SHARED
roots|fail|-DCASE=0 -DOPS0=3 -DOPS1=0 -DNO_LOG_COPY -DNO_LOG_LOCAL
roots|fail|-DCASE=4 -DOPS0=2 -DOPS1=0 -DNO_LOG_COPY -DNO_LOG_MERGE
roots|fail|-DCASE=4 -DOPS0=1 -DOPS1=1 -DMERGE_TORN -DNO_LOG_MERGE
mark|pass|
mark|pass|-DGRAPH=5 -DNO_LOG_NEW
mark|fail|-DGRAPH=3 -DONE_RENDEZVOUS
mark|fail|-DGRAPH=5 -DNO_LOG_OVERWRITE
mark|fail|-DGRAPH=0 -DNO_LOG_DESTROYED
mark|fail|-DGRAPH=3 -DNO_LOG_EXT
mark|fail|-DGRAPH=5 -DNO_LOG_CONVERT
mark|fail|-DGRAPH=4 -DCOLOUR_LATE
mark|fail|-DGRAPH=5 -DDROP_OUTSIDE
mark|fail|-DGRAPH=5 -DCONVERT_OUTSIDE
mark|fail|-DGRAPH=5 -DDYING_OUTSIDE
mark|fail|-DGRAPH=5 -DSKIP_DYING
mark|fail|-DGRAPH=5 -DSKIP_PAYLOAD
mark|fail|-DGRAPH=5 -DSKIP_MET_PAYLOAD
mark|fail|-DGRAPH=5 -DNO_LAST_RENDEZVOUS
mark|fail|-DGRAPH=5 -DTAKE_ONCE
rendezvous|pass|-DWHO=0 -DBRACKETS=4
rendezvous|pass|-DWHO=1 -DBRACKETS=3
rendezvous|pass|-DWHO=2 -DBRACKETS=1 -DLIVES=1 -DLAST=2
rendezvous|pass|-DWHO=1 -DFENCED -DBRACKETS=3
rendezvous|pass|-DWHO=1 -DWALK_FIRST -DRESET_SEQ
rendezvous|pass|-DWHO=1 -DCOUNT_UNFENCED -DBIRTH_AFTER
rendezvous|pass|-DWHO=1 -DFENCED -DCOUNT_UNFENCED -DBIRTH_AFTER
rendezvous|fail|-DWHO=1 -DWALK_FIRST -DCOUNT_UNFENCED
rendezvous|fail|-DWHO=0 -DNO_MEMBARRIER
rendezvous|fail|-DWHO=0 -DREAD_SEQ_FIRST
rendezvous|fail|-DWHO=0 -DPASS_ODD
rendezvous|fail|-DWHO=0 -DMODE_FIRST
rendezvous|fail|-DWHO=0 -DNESTED
rendezvous|fail|-DWHO=1 -DCOUNT_LATE
rendezvous|fail|-DWHO=0 -DBIRTH_OUTSIDE
rendezvous|fail|-DWHO=0 -DBIRTH_WITHOUT_SEQ
rendezvous|fail|-DWHO=0 -DBIRTH_LATE
rendezvous|fail|-DWHO=0 -DBIRTH_EARLY
rendezvous|fail|-DWHO=0 -DFENCED -DNO_BRACKET_FENCE
rendezvous|fail|-DWHO=0 -DFENCED -DIDLE_UNFENCED
rendezvous|fail|-DWHO=0 -DFENCED -DBARE_BIRTH
hazard|pass|
hazard|fail|-DPLAIN_PUBLISH
hazard|fail|-DCHECK_FIRST
hazard|fail|-DCLEAR_EARLY
hazard|fail|-DNO_FENCE
hazard|fail|-DNO_LOOK
hazard|fail|-DONE_BATCH
hazard|fail|-DSTAGE_LATE
hazard|fail|-DMODE_EARLY
hazard|fail|-DPUSH_OUTSIDE
hazard|fail|-DDRAIN_BLIND
hazard|fail|-DSLEEP_EARLY
hazard|fail|-DREUSE_LISTED
hazard|fail|-DPRIVATE_ARMED
hazard|fail|-DPRIVATE_DYING
grace|pass|-DREADS=1
grace|pass|-DOBJECTS=2 -DREADS=1 -DQUARANTINE
grace|pass|-DOBSERVER
grace|fail|-DREADS=1 -DNO_MEMBARRIER
grace|fail|-DREADS=1 -DNOTE_FIRST
grace|fail|-DREADS=1 -DTICKET_RUNNING
grace|fail|-DREADS=1 -DSCOPE_UNSEEN
grace|fail|-DREADS=1 -DREAD_FIRST
grace|fail|-DREADS=1 -DGATHER_ANEW
grace|fail|-DREADS=1 -DDOWN_FIRST
grace|fail|-DREADS=1 -DQUARANTINE -DSTARTED_LATE
grace|fail|-DREADS=1 -DQUARANTINE -DTICKET_EARLY
grace|fail|-DREADS=1 -DQUARANTINE -DGRACE_UNGUARDED
grace|fail|-DREADS=1 -DQUARANTINE -DRECLAIM_TORN
grace|fail|-DOBSERVER -DHAND_LATE
grace|fail|-DOBSERVER -DHAND_EARLY
published|pass|
published|pass|-DOWNER_LATE -DOPS1=1
published|fail|-DNO_GRACE
published|fail|-DSCOPE_UNSEEN
published|fail|-DLOAD_OUTSIDE
published|fail|-DNO_DEAD_TEST
published|fail|-DLOAD_TORN
published|fail|-DPUBLISH_LATE
published|fail|-DOWNER_STAYS
published|fail|-DCOUNT_LATE
published|fail|-DNO_UNDO
weak|pass|-DOPS0=3
weak|pass|-DOPS0=3 -DFINALIZER
weak|pass|-DOPS0=3 -DNO_WEAK_TEST
weak|pass|-DOPS0=3 -DDEATH_TORN
weak|fail|-DOPS0=3 -DNO_GRACE
weak|fail|-DOPS0=3 -DGRACE_AT_DEAD
weak|fail|-DOPS0=3 -DCLEAR_LATE
weak|fail|-DOPS0=3 -DNO_DEAD_TEST
weak|fail|-DOPS0=3 -DLOCK_OUTSIDE
weak|fail|-DOPS0=3 -DLOCK_BLIND
weak|fail|-DOPS0=3 -DPRIVATE_WEAK
weak|fail|-DOPS0=3 -DUNIQUE_WEAK
weak|fail|-DOPS0=3 -DADOPT_WEAK
weak|fail|-DOPS0=3 -DDEATH_BARE
weak|fail|-DFINALIZER -DFINALIZE_TORN
weak|fail|-DFINALIZER -DFINALIZE_DEAD
door|pass|
door|pass|-DGRAPH=0 -DFINALIZABLE=3
door|pass|-DGRAPH=2 -DOPS0=1 -DFINALIZABLE=1
door|pass|-DGRAPH=2 -DOPS0=1 -DCYCLES=2
door|pass|-DGRAPH=0 -DNO_REREAD
door|pass|-DGRAPH=0 -DREOPEN_EARLY
door|pass|-DGRAPH=0 -DLOG_LATE
door|pass|-DGRAPH=0 -DRESTART_IF_WHITE
door|fail|-DNO_DOOR
door|fail|-DCLOSE_ANY
door|fail|-DLEAVE_EARLY
door|fail|-DCOUNT_FIRST
door|fail|-DNO_RESTART
door|fail|-DNO_SELF_OFF
door|fail|-DUNLOGGED_BLACK
door|fail|-DNO_DEAD_TEST
door|fail|-DDEAD_LATE
door|fail|-DREOPEN_FIRST
door|fail|-DCLEAR_FIRST
door|fail|-DLOCK_OUTSIDE
door|fail|-DGRAPH=2 -DCYCLES=2 -DRESET_EARLY
door|fail|-DFINALIZABLE=1 -DFINALIZE_LATE
door|fail|-DFINALIZABLE=1 -DFINALIZE_UNTRACED
door|fail|-DFINALIZABLE=1 -DFINALIZE_TWICE
door|fail|-DGRAPH=0 -DOPS0=0 -DCYCLES=2 -DFINALIZABLE=1 -DFINALIZE_NO_EXT
clear|pass|
clear|pass|-DNO_DEAD_TEST
clear|fail|-DCOLOUR_FIRST
clear|fail|-DNO_COLOUR_TEST
clear|fail|-DBY_COLOUR
clear|fail|-DCOUNT_GARBAGE
clear|fail|-DFREE_AS_CLEARED
clear|fail|-DFREE_UNCLEARED
clear|fail|-DFREE_LATE
clear|fail|-DBLIND_DROP
clear|fail|-DQUEUED_HEAP
clear|fail|-DCLEAR_LATE
ephemeron|pass|-DGRAPH=0
ephemeron|pass|-DGRAPH=1 -DOPS=1
ephemeron|pass|-DGRAPH=2
ephemeron|pass|-DGRAPH=0 -DOPS=1 -DDROP_FIRST
ephemeron|fail|-DGRAPH=0 -DUNTRACED
ephemeron|fail|-DGRAPH=0 -DUNTRACED_LAST
ephemeron|fail|-DGRAPH=0 -DUNLOGGED
ephemeron|fail|-DGRAPH=2 -DUNLOGGED_SET
ephemeron|fail|-DGRAPH=0 -DUNLOGGED_DEATH
ephemeron|fail|-DGRAPH=0 -DDROP_OUTSIDE
ephemeron|fail|-DGRAPH=0 -DUNLOCKED
ephemeron|fail|-DGRAPH=0 -DUNCLEARED
ephemeron|fail|-DGRAPH=0 -DFREE_FIRST
atomic_weak|pass|
atomic_weak|fail|-DNO_PIN
atomic_weak|fail|-DPIN_TORN
atomic_weak|fail|-DTRANSFER_LATE
atomic_weak|fail|-DNO_TRANSFER
atomic_weak|fail|-DNO_UNDO
atomic_weak|fail|-DUNPIN_BLIND
atomic_weak|fail|-DEXCHANGE_BARE
bell|pass|-DREQUESTS=1
bell|pass|-DENTRIES=1 -DREQUESTS=1 -DAWAKE_PLAIN
bell|fail|-DPLAIN_PUBLISH
bell|fail|-DPLAIN_STATE
bell|fail|-DRING_FIRST
bell|fail|-DNO_LOOK
bell|fail|-DLOOK_FIRST
bell|fail|-DWAIT_BLIND
bell|fail|-DNO_WAKE
bell|fail|-DURGENT_SOFT
bell|fail|-DURGENT_LATE
bell|fail|-DQUIET_BLIND
bell|fail|-DNO_SECOND_TICK
orphans|pass|
orphans|fail|-DNO_TAG
orphans|fail|-DPOP_TORN
orphans|fail|-DPUSH_TORN
orphans|fail|-DOFFER_EARLY
orphans|fail|-DBUSY_STANDS
orphans|fail|-DEMPTY_UNTAKEN
orphans|fail|-DRESET_SEQ
orphans|fail|-DEMPTIED_LOST
peeked|pass|
peeked|fail|-DNO_SCOPE
peeked|fail|-DNO_DEAD_TEST
peeked|fail|-DCOUNT_LATE
peeked|fail|-DDEAD_SPLIT
peeked|fail|-DNO_GRACE
peeked|fail|-DEARLY_TICKET
peeked|fail|-DFORGOTTEN
peeked|fail|-DUNDO_NOT
slab|pass|-DSLABS=1 -DBLOCKS=3 -DOPS=5
slab|pass|-DSLABS=2 -DBLOCKS=2 -DOPS=3 -DVISITS=1
slab|fail|-DOWNER_LATE
slab|fail|-DFULL_STORE
slab|fail|-DTAKE_TORN
slab|fail|-DCLAIM_TORN
slab|fail|-DCLAIM_EARLY
slab|fail|-DNO_LIST
slab|fail|-DLIST_EVERY
slab|fail|-DTOUCH_AFTER
slab|fail|-DPOP_TORN
slab|fail|-DTAKE_UNLISTED
slab|fail|-DTAKE_NONEMPTY
slab|fail|-DLOOK_UNMARKED
slab|fail|-DLOOK_FIRST
slab|fail|-DKEPT_NONEMPTY
slab|fail|-DPOP_MARKED
slab|fail|-DUNMARK_NOT
fork|pass|
fork|pass|-DWORKERS=1 -DROUNDS=3 -DFORKS=3
fork|fail|-DPLAIN_PLACE
fork|fail|-DPLAIN_SHUT
fork|fail|-DLOOK_FIRST
fork|fail|-DGATE_FIRST
fork|fail|-DNO_HOLD
fork|fail|-DNO_REREAD
fork|fail|-DNO_WAKE
fork|fail|-DNO_OPEN_WAKE
fork|fail|-DWAIT_BLIND
fork|fail|-DNO_WINDOW
fork|fail|-DNO_PATIENCE
fork|fail|-DGIVE_UP_FIRST
LIST
}

for tool in spin gcc timeout; do
  command -v "$tool" >/dev/null || { echo "run.sh: '$tool' is not installed" >&2; exit 2; }
done

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build=${1:-}
[ $# -eq 0 ] || shift
if [ -z "$build" ]; then
  build=$(mktemp -d)
  trap 'rm -rf "$build"' EXIT
fi
mkdir -p "$build"
build=$(cd "$build" && pwd)
wanted=("${@:-${models[@]}}")
for model in "${wanted[@]}"; do
  [ -f "$here/$model.pml" ] || { echo "run.sh: there is no model '$model'" >&2; exit 2; }
  runs | grep -q "^$model|" || { echo "run.sh: no run is listed for '$model'" >&2; exit 2; }
done

# Makes and runs one verifier in a directory of its own; prints the line of the run.
one() {
  local number=$1 model=$2 expected=$3 switches=$4
  local dir=$build/$number-$model optimise=-O0 got states seconds begin end status=0
  case $expected-$model in   # elsewhere optimising would take longer than it saves
    pass-count | pass-mark | pass-rendezvous | pass-slab) optimise=-O2 ;;
  esac
  rm -rf "$dir"
  mkdir -p "$dir"
  cd "$dir"
  begin=${EPOCHREALTIME/[.,]/}
  # shellcheck disable=SC2086  # the switches are words
  if ! spin -a $switches "$here/$model.pml" >spin.log 2>&1; then
    got='spin error'
  elif ! gcc "$optimise" -w -DSAFETY -DCOLLAPSE -DVECTORSZ=2048 -DMEMLIM=1500 \
      -o pan pan.c >gcc.log 2>&1; then
    got='gcc error'
  else
    timeout "${REEF_MODEL_SECONDS:-300}" ./pan -m200000 -w23 >pan.log 2>&1 || status=$?
    if [ "$status" -eq 124 ]; then
      got=timeout
    elif grep -q 'errors: 0$' pan.log &&
        ! grep -qE 'Search not completed|max search depth|out of memory' pan.log; then
      got=pass
    elif grep -q 'assertion violated' pan.log; then
      got=fail
    else
      got=incomplete
    fi
  fi
  end=${EPOCHREALTIME/[.,]/}
  states=$(awk '/states, stored/ { print $1 }' pan.log 2>/dev/null || true)
  seconds=$(awk -v t=$((end - begin)) 'BEGIN { printf "%.1f", t / 1e6 }')
  printf '%-4s %-10s %-48s expected %-4s got %-10s %9s states %6s s\n' \
    "$([ "$got" = "$expected" ] && echo ok || echo BAD)" "$model" "${switches:-(base)}" \
    "$expected" "$got" "${states:--}" "$seconds" \
    | tee line
  rm -f pan pan.?
}

number=0
while IFS='|' read -r model expected switches; do
  case " ${wanted[*]} " in *" $model "*) ;; *) continue ;; esac
  while [ "$(jobs -rp | wc -l)" -ge "${REEF_MODEL_JOBS:-2}" ]; do wait -n || true; done
  number=$((number + 1))
  one "$number" "$model" "$expected" "$switches" </dev/null &
done < <(runs)
wait

passed=0
for ((i = 1; i <= number; i++)); do
  if grep -qs '^ok' "$build/$i"-*/line; then passed=$((passed + 1)); fi
done
echo "$passed passed, $((number - passed)) failed"
[ "$passed" -eq "$number" ]
