/* atomic_weak.pml: AtomicWeak's word, whose pins keep a weak cell while a reader takes a handle.
 *
 * One word {cell, pins} and two cells, each with its count of owners; cell 0 is none. Two threads
 * load, exchange, and compare and exchange. A load pins the cell by raising the pins in the word,
 * counts a handle, unpins. Who replaces the word turns its pins into owners first.
 *
 * Checked:
 *   A1  a cell is counted only while it is there: nothing touches a freed one;
 *   A2  a cell is freed once, and not while somebody has a handle;
 *   A3  at the end the owners are those that are left, and the word has no pins.
 *
 * Abstracted: what the cells lead to (weak.pml); orders (sequential consistency); cells that are
 * reused: each thread's handle keeps its own.
 *
 * OPS: operations of each thread.
 *
 * Mutations, each takes out one step:
 *   NO_PIN         a load reads the word, then counts in the cell
 *   PIN_TORN       the pin is a read and a write
 *   TRANSFER_LATE  the pins become owners after the exchange
 *   NO_TRANSFER    the pins are lost with the word
 *   NO_UNDO        what was counted for an exchange that failed stays counted
 *   UNPIN_BLIND    an unpinning reader lowers the pins whatever cell the word leads to
 *   EXCHANGE_BARE  Exchange does not pin the cell before it counts in it
 */
#ifndef OPS
#define OPS 3
#endif

byte cell = 1, pins;                 /* the word */
byte owners[3];
bool freed[3];
byte done;

inline add(c, n) { atomic { assert(!freed[c]); owners[c] = owners[c] + n } }      /* A1 */
inline release(c) {
  atomic {
    assert(!freed[c] && owners[c] > 0);
    owners[c]--;
    if
    :: owners[c] == 0 -> freed[c] = true                                          /* A2 */
    :: else
    fi
  }
}

inline pin(c) {
  do
#ifdef PIN_TORN
  :: cell == 0 -> c = 0; break
  :: cell != 0 ->
     atomic { c = cell; seen = pins };
     if
     :: cell == c -> pins = seen + 1; break
     :: else
     fi
#elif defined(NO_PIN)
  :: c = cell; break
#else
  :: atomic { c = cell; if :: c != 0 -> pins++ :: else fi }; break
#endif
  od
}
inline unpin(c) {
#ifdef NO_PIN
  skip
#else
  if
#ifdef UNPIN_BLIND
  :: atomic { pins > 0 -> pins-- }
#else
  :: atomic { cell == c && pins > 0 -> pins-- }
#endif
  :: else -> release(c)
  fi
#endif
}

/* Puts `to` in the place of c; `won` says whether. */
inline replace(c, to) {
  do
  :: atomic { cell == c -> seen = pins };
#if !defined(TRANSFER_LATE) && !defined(NO_TRANSFER)
     if
     :: seen > 0 -> add(c, seen)
     :: else
     fi;
#endif
     if
     :: atomic { cell == c && pins == seen -> cell = to; pins = 0; won = true }
     :: else
     fi;
     if
     :: won ->
#ifdef TRANSFER_LATE
        if
        :: seen > 0 -> add(c, seen)
        :: else
        fi;
#endif
        break
     :: else ->
#if !defined(TRANSFER_LATE) && !defined(NO_TRANSFER) && !defined(NO_UNDO)
        if
        :: seen > 0 -> atomic { assert(!freed[c] && owners[c] > seen); owners[c] = owners[c] - seen }
        :: else
        fi
#else
        skip
#endif
     fi
  :: atomic { cell != c -> won = false }; break
  od;
  seen = 0
}

/* Takes over this thread's handle on `to`; the former cell's is in `c`. */
inline exchange(to) {
  do
  ::
#ifdef EXCHANGE_BARE
     c = cell;
     replace(c, to);
     if
     :: won -> break
     :: else
     fi
#else
     pin(c);
     replace(c, to);
     if
     :: won ->
#ifndef NO_PIN
        if
        :: c != 0 -> release(c)
        :: else
        fi;
#endif
        break
     :: else ->
        if
        :: c != 0 -> unpin(c)
        :: else
        fi
     fi
#endif
  od;
  won = false
}

proctype Thread(byte mine) {         /* begins with one handle on `mine` */
  byte k, c, seen, more;
  bool won;
  do
  :: k < OPS ->
     k++;
     if
     :: pin(c);                      /* Load, and the handle goes again */
        if
        :: c != 0 -> add(c, 1); unpin(c); release(c)
        :: else
        fi
     :: add(mine, 1);                /* Store of a copy */
        exchange(mine);
        if
        :: c != 0 -> release(c)
        :: else
        fi
     :: exchange(0);                 /* Exchange for nothing */
        if
        :: c != 0 -> release(c)
        :: else
        fi
     :: add(mine, 1);                /* CompareExchange of `mine` by itself: the word's goes */
        replace(mine, mine);
        release(mine);
        won = false
     fi;
     c = 0
  :: k == OPS -> break
  od;
  release(mine);
  done++
}

init {
  atomic { owners[1] = 2; owners[2] = 1; run Thread(1); run Thread(2) };
  done == 2;
  assert(pins == 0);                                                              /* A3 */
  assert(owners[1] == (cell == 1) && owners[2] == (cell == 2));
  assert(freed[1] == (cell != 1) && freed[2] == (cell != 2))
}
