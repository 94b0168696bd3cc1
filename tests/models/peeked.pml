/* peeked.pml: cells that threads replace, look at and compare, against reuse of blocks.
 *
 * Two mutators work on one cell. Store makes an object in a free block, with one root, and puts it
 * into the cell in a bracket {count the edge up; exchange; drop the root; drop the former target}.
 * Compare opens a scope, peeks, perhaps upgrades what it saw (and keeps that root beyond the
 * scope), and then tries to empty the cell or to put a new object there, if the cell still holds
 * what was peeked at, of which it has no count of its own. The count that reaches zero sets DEAD in
 * the same step; the object retires after the bracket. Reclaimer takes retired objects, notes who
 * is inside a bracket or scope, waits for the ends, and frees the block, which is then reused.
 *
 * Checked:
 *   P1  what was peeked at is whole, and the same object, until the scope ends;
 *   P2  a comparison with it that succeeds has met that object, alive (no ABA);
 *   P3  an upgrade that has failed never succeeds later; nothing dead is counted up or down;
 *   P4  every object dies once, and in the end what the cell does not hold is free.
 *
 * Abstracted: the four fields of a count are one number, changed atomically (count.pml says why
 * that may be); brackets and scopes are one counter per mutator; the membarrier's work on store
 * buffers is in rendezvous.pml; marks are a part of the compared word and change nothing here.
 *
 * Mutations, each takes out one step:
 *   NO_SCOPE       Compare opens no scope
 *   NO_DEAD_TEST   an upgrade counts up without a look at DEAD
 *   COUNT_LATE     the edge is counted up after the exchange
 *   DEAD_SPLIT     the count goes to zero, and DEAD follows in another step
 *   NO_GRACE       Reclaimer waits for nobody
 *   EARLY_TICKET   Reclaimer notes who is inside before it takes the object
 *   FORGOTTEN      a comparison that succeeds does not drop the cell's count
 *   UNDO_NOT       a comparison that fails leaves the edge counted
 */
#ifndef OPERATIONS
#define OPERATIONS 2                 /* of each mutator */
#endif
#define BLOCKS 2

#define FREE 0
#define LIVE 1
#define DYING 2

byte cell = 1;                       /* the block it leads to; 0: none. Blocks count from 1 */
byte stage[BLOCKS + 1];
byte count[BLOCKS + 1];
bool dead[BLOCKS + 1];
bool retired[BLOCKS + 1];
byte inside[2];                      /* odd: in a bracket or scope */

/* Ghosts. */
byte life[BLOCKS + 1];
byte refused[BLOCKS + 1];            /* the life whose upgrade has failed */
byte finished;
bool reclaiming;

inline count_down(b) {               /* in a bracket; the object is in `due` if that was the last */
#ifdef DEAD_SPLIT
  atomic { assert(stage[b] == LIVE && count[b] > 0); count[b]--; last = (count[b] == 0) };
  if
  :: last -> atomic { assert(!dead[b]); dead[b] = true; stage[b] = DYING; due = b; last = false }
  :: else
  fi
#else
  atomic {
    assert(stage[b] == LIVE && !dead[b] && count[b] > 0);
    count[b]--;
    if
    :: count[b] == 0 -> dead[b] = true; stage[b] = DYING; due = b
    :: else
    fi
  }
#endif
}

inline count_up(b) { atomic { assert(stage[b] == LIVE && !dead[b]); count[b]++ } }

inline retire() {
  if
  :: due != 0 -> atomic { assert(!retired[due]); retired[due] = true; due = 0 }
  :: else
  fi
}

inline make() {                      /* `fresh` is 0 if no block is free */
  atomic {
    if
    :: stage[1] == FREE -> fresh = 1
    :: stage[2] == FREE -> fresh = 2
    :: else -> fresh = 0
    fi;
    if
    :: fresh != 0 ->
       stage[fresh] = LIVE; count[fresh] = 1; dead[fresh] = false; life[fresh]++
    :: else
    fi
  }
}

#define WHOLE assert(stage[seen] != FREE && life[seen] == its_life)

inline store() {
  make();
  if
  :: fresh != 0 ->
     inside[me]++;
#ifndef COUNT_LATE
     count_up(fresh);
#endif
     atomic { old = cell; cell = fresh };
#ifdef COUNT_LATE
     count_up(fresh);
#endif
     count_down(fresh);              /* the root; never the last, unless it was replaced by now */
     inside[me]++;
     retire();
     if
     :: old != 0 -> inside[me]++; count_down(old); inside[me]++; retire()
     :: else
     fi
  :: else
  fi;
  fresh = 0; old = 0
}

inline upgrade() {
  atomic {
#ifdef NO_DEAD_TEST
    count[seen]++; held = seen
#else
    if
    :: dead[seen] -> refused[seen] = its_life
    :: else -> assert(stage[seen] == LIVE && refused[seen] != its_life);
               count[seen]++; held = seen
    fi
#endif
  }
}

inline compare() {
#ifndef NO_SCOPE
  inside[me]++;
#endif
  atomic { seen = cell; its_life = life[seen] };
  if
  :: seen != 0 ->
     WHOLE;
     if
     :: upgrade()
     :: true
     fi;
     if
     :: make()
     :: true
     fi;
     if
     :: fresh != 0 -> count_up(fresh)
     :: else
     fi;
     atomic {
       won = (cell == seen);
       if
       :: won -> assert(life[seen] == its_life && stage[seen] == LIVE && !dead[seen]);
                 cell = fresh
       :: else
       fi
     };
     if                              /* the root if it is stored, the edge's count if not */
#ifdef UNDO_NOT
     :: fresh != 0 && won -> count_down(fresh); retire()
#else
     :: fresh != 0 -> count_down(fresh); retire()
#endif
     :: else
     fi;
     if
#ifdef FORGOTTEN
     :: false
#else
     :: won -> count_down(seen); retire()
#endif
     :: else
     fi;
     WHOLE
  :: else
  fi;
#ifndef NO_SCOPE
  inside[me]++;
#endif
  if                                 /* the root of an object that was not stored */
  :: fresh != 0 && !won -> inside[me]++; count_down(fresh); inside[me]++; retire()
  :: else
  fi;
  if
  :: held != 0 ->
     assert(life[held] == its_life && stage[held] == LIVE);
     inside[me]++; count_down(held); inside[me]++; retire()
  :: else
  fi;
  seen = 0; its_life = 0; held = 0; fresh = 0; won = false
}

proctype Mutator(byte me) {
  byte n, fresh, old, seen, its_life, held, due;
  bool won, last;
  do
  :: n < OPERATIONS ->
     n++;
     if
     :: store()
     :: compare()
     fi
  :: else -> break
  od;
  finished++
}

#define NOTE atomic { open[0] = inside[0]; open[1] = inside[1] }
#define ENDED(i) (open[i] % 2 == 0 || inside[i] != open[i])
#define TAKE(b) retired[b] -> atomic { retired[b] = false; taken = b; reclaiming = true }

proctype Reclaimer() {
  byte taken, open[2];
end:
  do
  :: retired[1] || retired[2] || finished < 2 ->
#ifdef EARLY_TICKET
     NOTE;
#endif
     if
     :: TAKE(1)
     :: TAKE(2)
     :: finished == 2 && !retired[1] && !retired[2] -> break
     fi;
#ifndef EARLY_TICKET
     NOTE;
#endif
#ifndef NO_GRACE
     ENDED(0); ENDED(1);
#endif
     atomic { assert(dead[taken] && stage[taken] == DYING);
              stage[taken] = FREE; taken = 0; reclaiming = false };
     atomic { open[0] = 0; open[1] = 0 }
  od
}

proctype AtRest() {
  byte b;
  finished == 2 && !retired[1] && !retired[2] && !reclaiming;
  for (b : 1 .. BLOCKS) {
    assert(b == cell -> (stage[b] == LIVE && count[b] == 1) : stage[b] == FREE)
  }
}

init {
  atomic {
    stage[1] = LIVE; count[1] = 1; life[1] = 1;
    run Mutator(0); run Mutator(1); run Reclaimer(); run AtRest()
  }
}
