/* weak.pml: Weak::Lock() against counted death, finalizers, and reuse of the block.
 *
 * One block, LIVES objects born in it one after the other, each biased to Owner. Owner and Other
 * copy, drop and pass `Ref`s, make the first Weak to an object and lock it; Owner may adopt an
 * unbiased object; Revoker settles what is queued. Death sets DEAD in the exchange that brings the
 * sum to zero, or, where the type has a finalizer that has not run, FINALIZED and one ext; then the
 * object's cell is cleared, the destructor runs, and, for a WEAK object, the block is reused after
 * a grace period that began when the cell was clear. A Lock is one bracket: {read the cell; one
 * exchange: WEAK, not DEAD, shared.ext + 1}. A stale handle keeps its cell for ever. No collection
 * is armed (door.pml).
 *
 * Checked:
 *   W1  a Lock returns the object its handle was made for, neither dead nor in its destructor;
 *   W2  null is final: nobody holds or gets a reference afterwards;
 *   W3  each object dies once, without references; no count operation touches a free block;
 *   W4  at rest without references the object is dead; otherwise its count is exact;
 *   W5  a finalizer runs once, before the destructor, while weak handles work.
 *
 * Abstracted: ext counts only; sequentially consistent threads (count.pml has the owner's store
 * buffer, rendezvous.pml the bracket's); the revoker's membarrier; traced or leaf; callbacks.
 *
 * OPS0 and OPS1: operations of Owner and Other. FINALIZER: the type has one.
 *
 * Mutations, each takes out one step:
 *   NO_GRACE        a WEAK object's block is reused at once
 *   GRACE_AT_DEAD   the grace period begins at DEAD, the cell is cleared afterwards
 *   CLEAR_LATE      the cell is cleared when the block is free already
 *   NO_DEAD_TEST    Lock's exchange does not test DEAD
 *   LOCK_OUTSIDE    Lock is no bracket
 *   LOCK_BLIND      Lock reads the word, then adds (two steps)
 *   PRIVATE_WEAK    LocalZero takes an object with WEAK set for private
 *   UNIQUE_WEAK     the plain store of a sole reference's drop disregards WEAK
 *   ADOPT_WEAK      adoption disregards WEAK
 *   FINALIZE_TORN   FINALIZED and its ext are set in two steps
 *   FINALIZE_DEAD   a finalizer runs with DEAD set
 *   DEATH_BARE      zero and DEAD in two steps, with no bracket around them
 * Not a mutation but a variant that passes: NO_WEAK_TEST; DEATH_TORN (in one bracket).
 */
#ifndef OPS0
#define OPS0 2
#endif
#ifndef OPS1
#define OPS1 2
#endif
#ifndef LIVES
#define LIVES 2
#endif
#ifdef FINALIZER
#define MUST_FINALIZE (finalized == false)
#else
#define MUST_FINALIZE false
#endif

#define NOBODY 9
#define REVOKING 8

/* Thread numbers: 0 Owner, 1 Other, 2 Revoker. The header: */
byte local_owner = 0, local_ext = 1;
short shared_ext;
bool merged, queued, dead, weak, finalized;

bool busy;                           /* of Owner: at this block */
bool cell[3];                        /* of life 1, 2 */
bool in_bracket[3];
bool turn[3];                        /* changes at every end of a bracket */
bool pending_entry;                  /* what Revoker has to do */

bool free_block;                     /* may be reused once its grace period has passed */
bool waits;                          /* a grace period was begun for it */
bool open_then[3], turn_then[3];

/* Ghosts. */
byte life = 1;
byte refs[3];                        /* Refs to the present object */
bool pending;                        /* the queued reference */
bool handle[3], was_null[3], finalizer_ran[3], destructor[3];
byte done;

#define REFS (refs[0] + refs[1] + refs[2] + pending)
#define INITIAL (shared_ext == 0 && !merged && !queued && !dead && !finalized)
#define BEGIN in_bracket[m] = true
#define END atomic { in_bracket[m] = false; turn[m] = !turn[m] }

inline start_grace() {
  atomic {
    open_then[0] = in_bracket[0]; open_then[1] = in_bracket[1]; open_then[2] = in_bracket[2];
    turn_then[0] = turn[0]; turn_then[1] = turn[1]; turn_then[2] = turn[2]
  }
}
#define ENDED(x) (!open_then[x] || !in_bracket[x] || turn[x] != turn_then[x])
#define GRACE_PASSED (!waits || (ENDED(0) && ENDED(1) && ENDED(2)))

/* The part of an exchange that finds the sum zero. */
inline zero() {
  if
  :: MUST_FINALIZE ->
     finalized = true;
#ifndef FINALIZE_TORN
     shared_ext++; refs[m]++;
#endif
#ifdef FINALIZE_DEAD
     dead = true;
#endif
     finalize = true
  :: else -> assert(!dead && REFS == 0); dead = true; due = true              /* W3 */
  fi
}

inline zero_rest() {
#ifdef FINALIZE_TORN
  if
  :: finalize -> atomic { shared_ext++; refs[m]++ }
  :: else
  fi
#else
  skip
#endif
}

inline local_zero() {
  if
#ifdef PRIVATE_WEAK
  :: atomic { INITIAL -> skip } ->
#else
  :: atomic { INITIAL && !weak -> skip } ->
#endif
     if
     :: MUST_FINALIZE ->
        atomic { merged = true; finalized = true; shared_ext = 1; refs[m]++; finalize = true };
        atomic { local_owner = NOBODY; local_ext = 0 }
     :: else ->
        atomic {
          assert(!dead && REFS == 0);
          merged = true; dead = true; due = true; shared_ext = 0
        };
        atomic { local_owner = NOBODY; local_ext = 0 }
     fi
  :: else ->
     atomic { local_owner = NOBODY; local_ext = 0 };
     atomic {
       assert(!free_block);
       merged = true;
       if
       :: shared_ext == 0 -> zero()
       :: else
       fi
     };
     zero_rest()
  fi
}

#ifdef UNIQUE_WEAK
#define UNIQUE \
  (merged && shared_ext == 1 && !queued && !dead && !finalized && MUST_FINALIZE == false)
#else
#define UNIQUE \
  (merged && shared_ext == 1 && !queued && !dead && !weak && !finalized && MUST_FINALIZE == false)
#endif

inline drop_shared() {
  if
  :: atomic { UNIQUE -> assert(!free_block) } ->
     atomic { shared_ext = 0; assert(!dead && REFS == 0); dead = true; due = true }
  :: else ->
     atomic {
       assert(!free_block);
       if
       :: merged ->
          shared_ext--; assert(shared_ext >= 0);
#if defined(DEATH_TORN) || defined(DEATH_BARE)
          torn = (shared_ext == 0)
#else
          if
          :: shared_ext == 0 -> zero()
          :: else
          fi
#endif
       :: !merged && !queued && shared_ext == 0 ->
          queued = true; pending = true; assert(!pending_entry); pending_entry = true
       :: else -> shared_ext--
       fi
     };
#ifdef DEATH_BARE
     END; BEGIN;
#endif
#if defined(DEATH_TORN) || defined(DEATH_BARE)
     if
     :: torn ->
        atomic {
          torn = false;
          assert(!free_block || (dead && weak));
          if
          :: merged && shared_ext == 0 && !dead -> zero()
          :: else
          fi
        }
     :: else
     fi;
#endif
     zero_rest()
  fi
}

inline drop() {                      /* one bracket */
  BEGIN;
  refs[m]--;
  if
  :: m == 0 ->
     busy = true;
     atomic { assert(!free_block); lo = local_owner; le = local_ext };
     if
     :: lo == 0 && le == 1 -> local_ext = 0; local_zero()
     :: lo == 0 && le > 1 -> atomic { local_owner = 0; local_ext = le - 1 }
     :: else -> drop_shared()
     fi;
     busy = false
  :: else -> drop_shared()
  fi;
  END;
  lo = 0; le = 0
}

inline copy() {
  if
  :: m == 0 ->
     busy = true;
     atomic { assert(!free_block); lo = local_owner; le = local_ext };
     if
     :: lo == 0 -> atomic { local_owner = 0; local_ext = le + 1; refs[m]++ }
     :: else -> atomic { assert(!free_block); shared_ext++; refs[m]++ }
     fi;
     busy = false
  :: else -> atomic { assert(!free_block); shared_ext++; refs[m]++ }
  fi;
  lo = 0; le = 0
}

inline adopt() {                     /* by Owner, from a Ref&&, in a bracket that found IDLE */
  BEGIN;
#ifdef ADOPT_WEAK
  if
  :: atomic { merged && shared_ext == 1 && !queued && !finalized && !dead -> skip } ->
#else
  if
  :: atomic { merged && shared_ext == 1 && !queued && !finalized && !dead && !weak -> skip } ->
#endif
     atomic { shared_ext = 0; merged = false };
     atomic { local_owner = 0; local_ext = 1 }
  :: else
  fi;
  END
}

inline make_weak() {                 /* by a holder of a counted reference */
  atomic { assert(!free_block && !dead); weak = true };
  atomic { cell[life] = true; handle[life] = true }
}

inline take_lock(x) {                /* the exchange has succeeded */
  assert(life == x && !free_block && !dead && !destructor[x] && !was_null[x]);     /* W1, W2 */
  shared_ext++; refs[m]++
}

inline is_null(x) {
  was_null[x] = true;
  assert(life != x || REFS == 0)                                              /* W2 */
}

inline lock(x) {
#ifndef LOCK_OUTSIDE
  BEGIN;
#endif
  if
  :: atomic { !cell[x] -> is_null(x) }
  :: else ->
#ifdef LOCK_BLIND
     if
     :: atomic { weak && !dead -> skip } -> atomic { take_lock(x) }
     :: else -> atomic { is_null(x) }
     fi
#else
     atomic {
       if
#if defined(NO_DEAD_TEST)
       :: weak -> take_lock(x)
#elif defined(NO_WEAK_TEST)
       :: !dead -> take_lock(x)
#else
       :: weak && !dead -> take_lock(x)
#endif
       :: else -> is_null(x)
       fi
     }
#endif
  fi;
#ifndef LOCK_OUTSIDE
  END
#endif
}

/* What a bracket left due: finalizer and destructor, outside brackets. */
inline settle() {
  if
  :: finalize ->
     atomic {
       finalize = false;
       assert(!finalizer_ran[life] && !destructor[life] && !was_null[life]);  /* W5 */
       assert(!handle[life] || (cell[life] && !dead));
       finalizer_ran[life] = true
     };
     if                              /* keeps the reference, or lets it go */
     :: drop()
     :: true
     fi
  :: else
  fi;
  if
  :: due ->
     due = false;
#ifdef GRACE_AT_DEAD
     start_grace();
#endif
#ifndef CLEAR_LATE
     cell[life] = false;
#endif
#ifndef GRACE_AT_DEAD
     start_grace();
#endif
     atomic { assert(!destructor[life] && REFS == 0); destructor[life] = true };
     atomic {
       assert(REFS == 0);
       free_block = true;
       mine = life;
#ifdef NO_GRACE
       waits = false
#else
       waits = weak
#endif
     };
#ifdef CLEAR_LATE
     cell[mine] = false;
#endif
     mine = 0
  :: else
  fi
}

inline bear() {                      /* shared first, then word 0 */
  atomic {
    life++;
    shared_ext = 0; merged = false; queued = false; dead = false; weak = false;
    finalized = false
  };
  atomic { local_owner = 0; local_ext = 1; free_block = false; refs[0]++ }
}

proctype Mutator(byte m; byte ops) {
  byte k, lo, le, mine;
  bool finalize, due, torn;
  do
  :: k < ops && refs[m] > 0 -> k++; drop(); settle()
  :: k < ops && refs[m] > 0 -> k++; copy()
  :: atomic { k < ops && refs[m] > 0 && done == 0 -> k++; refs[m]--; refs[1 - m]++ }
  :: k < ops && refs[m] > 0 && !handle[life] -> k++; make_weak()
  :: k < ops && handle[1] -> k++; lock(1)
  :: k < ops && handle[2] -> k++; lock(2)
  :: m == 0 && k < ops && refs[0] == 1 -> k++; adopt()
  :: m == 0 && free_block && life < LIVES && GRACE_PASSED -> bear()
  :: k == ops || refs[m] == 0 -> break
  od;
  done++;
  done >= 2;
  do
  :: refs[m] > 0 -> drop(); settle()
  :: refs[m] == 0 -> break
  od;
  done++
}

proctype Revoker() {
  byte m = 2, lo, le, mine;
  bool finalize, due, torn, was_busy;
  do
  :: pending_entry ->
     atomic {
       assert(!free_block);
       if
       :: local_owner == 0 -> local_owner = REVOKING
       :: else
       fi
     };
     was_busy = busy;
     atomic { assert(!free_block); lo = local_owner; le = local_ext };
     if
     :: lo == REVOKING && !was_busy ->
        BEGIN;
        atomic {
          assert(!merged && !free_block);
          pending = false; pending_entry = false;
          shared_ext = shared_ext + le - 1; merged = true; queued = false;
          if
          :: shared_ext == 0 -> zero()
          :: else
          fi
        };
        zero_rest();
        END;
        settle()
     :: lo == NOBODY && merged ->
        BEGIN;
        atomic {
          pending = false; pending_entry = false;
          shared_ext--; queued = false;
          if
          :: shared_ext == 0 -> zero()
          :: else
          fi
        };
        zero_rest();
        END;
        settle()
     :: else
     fi;
     lo = 0; le = 0; was_busy = false
  :: !pending_entry && refs[2] > 0 -> drop(); settle()
  :: !pending_entry && done == 4 && refs[2] == 0 -> break
  od;
  atomic {                                                                    /* W4 */
    assert(REFS == 0 && dead && free_block && destructor[life] && !cell[life]);
#ifdef FINALIZER
    assert(finalizer_ran[life])
#endif
  }
}

init {
  atomic {
    refs[0] = 1;
    if
    :: true
    :: weak = true; cell[1] = true; handle[1] = true
    fi;
    run Mutator(0, OPS0); run Mutator(1, OPS1); run Revoker()
  }
}
