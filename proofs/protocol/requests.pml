/* The protocol between scheduler, requests and device, for exhaustive checking with SPIN: leases, cancels, kernels in
 * flight, evictions to the host tier and back. Two queues of the device run out of order with one another: compute and
 * copies. Checked: no page is handed out again while a kernel or a copy may still touch it; a kernel meets the contents
 * it was launched for; no wake-up is lost (no state in which all wait); every request finishes or is cancelled.
 * The scheduler's passes are atomic, since it is one thread and shares nothing with the device but the flags below.
 * Faults to plant: -DRELEASE_EARLY, -DFREE_BEFORE_COPIED, -DLOSE_WAKEUP, -DEVICE_FORGETS.
 */
#ifndef REQUESTS
#define REQUESTS 2
#endif
#ifndef PAGES
#define PAGES 2
#endif
#ifndef CONTENTS
#define CONTENTS 2
#endif
#ifndef STEPS
#define STEPS 2
#endif
#define NONE 255

mtype = { waiting, stalled, running, done, cancelled,          /* a request */
          unused, private, cached, leaving, arriving,          /* a page */
          copy_out, copy_in };

mtype request[REQUESTS];
byte wanted[REQUESTS];        /* the contents (a prefix) it needs */
byte page_of[REQUESTS];
byte left[REQUESTS];          /* kernels it still needs */
bool cancel[REQUESTS];        /* set by the client, at any time */

mtype page[PAGES];
byte holds[PAGES];            /* leases */
byte contents[PAGES];         /* what the page's rows are, as the device would read them */
byte meant[PAGES];            /* what the trie says they are */
byte touching[PAGES];         /* kernels and copies submitted and not finished */
bool on_host[CONTENTS];

bool kernel_done[REQUESTS];   /* set by the device, taken by the scheduler */
bool copy_done[PAGES];
bool wake;
bool finished;

chan compute = [REQUESTS] of { byte, byte, byte, bool };  /* request, page, contents, whether it fills the page */
chan copies = [PAGES] of { mtype, byte, byte };           /* direction, page, contents */


inline hand_out(p) {
  assert(page[p] == unused && holds[p] == 0);
  assert(touching[p] == 0)    /* nothing in flight may still read or write it */
}
inline launch(r, fills) {
  touching[page_of[r]]++;
  request[r] = running;
  compute!r, page_of[r], wanted[r], fills
}
inline let_go(r, how) {
  holds[page_of[r]]--;
  if
  :: page[page_of[r]] == private -> page[page_of[r]] = unused
  :: else
  fi;
  page_of[r] = NONE;
  request[r] = how
}
inline find_page(what, state_wanted, found) {  /* a page in that state, with contents `what` unless NONE */
  found = NONE;
  i = 0;
  do
  :: i < PAGES ->
     if
     :: page[i] == state_wanted && (what == NONE || meant[i] == what) && (state_wanted != cached || what != NONE || holds[i] == 0) -> found = i
     :: else
     fi;
     i++
  :: else -> break
  od
}

/* Lets a waiting request in if its page or a free one is to be had; else begins to evict. */
inline admit(r) {
  find_page(wanted[r], cached, p);
  if
  :: p != NONE -> page_of[r] = p; holds[p]++; launch(r, false); progress_made = true
  :: else ->
     find_page(wanted[r], arriving, p);
     if
     :: p != NONE -> page_of[r] = p; holds[p]++; request[r] = stalled; progress_made = true
     :: else ->
        find_page(NONE, unused, p);
        if
        :: p != NONE ->
           hand_out(p);
           page_of[r] = p; holds[p] = 1; meant[p] = wanted[r]; progress_made = true;
           if
           :: on_host[wanted[r]] -> page[p] = arriving; touching[p]++; request[r] = stalled; copies!copy_in, p, wanted[r]
           :: else -> page[p] = private; launch(r, true)
           fi
        :: else ->
           find_page(NONE, cached, p);   /* of those that nobody holds */
           if
           :: p != NONE ->
              progress_made = true;
              if
              :: on_host[meant[p]] -> page[p] = unused
              :: else ->
#ifdef FREE_BEFORE_COPIED
                 page[p] = unused;
#else
                 page[p] = leaving;
#endif
                 touching[p]++;
                 copies!copy_out, p, meant[p]
              fi
           :: else
           fi
        fi
     fi
  fi
}

/* A request's kernel has finished: publish its page, then go on or let go. */
inline advance(r) {
  kernel_done[r] = false;
  progress_made = true;
  left[r]--;
  if
  :: page[page_of[r]] == private ->
     find_page(wanted[r], cached, p);
     if
     :: p != NONE -> holds[page_of[r]] = 0; page[page_of[r]] = unused; page_of[r] = p; holds[p]++   /* another was first */
     :: else -> page[page_of[r]] = cached
     fi
  :: else
  fi;
  if
  :: cancel[r] -> let_go(r, cancelled)
  :: !cancel[r] && left[r] == 0 -> let_go(r, done)
  :: else -> launch(r, false)
  fi
}

active proctype scheduler() {
  byte r, p, i, busy;
  bool progress_made;
  atomic {   /* every choice of what the requests want */
    r = 0;
    do
    :: r < REQUESTS -> request[r] = waiting; page_of[r] = NONE; left[r] = STEPS; select(i : 0 .. CONTENTS - 1); wanted[r] = i; r++
    :: else -> break
    od;
    r = 0;
    do
    :: r < PAGES -> page[r] = unused; contents[r] = NONE; meant[r] = NONE; r++
    :: else -> break
    od;
    run client(); run compute_queue(); run copy_queue()
  }
  do
  :: finished -> break
  :: else ->
#ifndef LOSE_WAKEUP
     wake = false;     /* before looking, so that what happens meanwhile is not missed */
#endif
     atomic {
       progress_made = false;
       r = 0;
       do
       :: r < PAGES ->
          if
          :: copy_done[r] && page[r] == leaving -> copy_done[r] = false; on_host[meant[r]] = true; page[r] = unused; progress_made = true
          :: copy_done[r] && page[r] == arriving -> copy_done[r] = false; page[r] = cached; progress_made = true
          :: else -> copy_done[r] = false
          fi;
          r++
       :: else -> break
       od;
       r = 0;
       do
       :: r < REQUESTS ->
          if
          :: request[r] == running && kernel_done[r] -> advance(r)
#ifdef RELEASE_EARLY
          :: request[r] == running && !kernel_done[r] && cancel[r] -> let_go(r, cancelled); progress_made = true
#endif
          :: request[r] == stalled && page[page_of[r]] == cached ->
             progress_made = true;
             if
             :: cancel[r] -> let_go(r, cancelled)
             :: else -> launch(r, false)
             fi
          :: request[r] == waiting && cancel[r] -> request[r] = cancelled; progress_made = true
          :: request[r] == waiting && !cancel[r] -> admit(r)
          :: else
          fi;
          r++
       :: else -> break
       od;
       busy = 0;
       r = 0;
       do
       :: r < REQUESTS -> if :: request[r] != done && request[r] != cancelled -> busy++ :: else fi; r++
       :: else -> break
       od;
       r = 0;
       do
       :: r < PAGES -> if :: page[r] == leaving || page[r] == arriving -> busy++ :: else fi; r++
       :: else -> break
       od;
       finished = (busy == 0)
     };
#ifdef LOSE_WAKEUP
     wake = false;
#endif
     if
     :: finished || progress_made
     :: else -> wake   /* sleep until somebody has something to tell */
     fi
  od;
  r = 0;
  do
  :: r < PAGES -> assert(holds[r] == 0 && touching[r] == 0 && page[r] != private); r++
  :: else -> break
  od
}

proctype client() {   /* cancels any of the requests at any time, or none */
  byte r;
  do
  :: r < REQUESTS ->
     if
     :: cancel[r] = true; wake = true
     :: true
     fi;
     r++
  :: else -> break
  od
}

proctype compute_queue() {
  byte r, p, c;
  bool fills;
end:
  do
  :: compute?r, p, c, fills ->
     if
     :: fills -> contents[p] = NONE; contents[p] = c   /* takes its time */
     :: else -> assert(contents[p] == c)
     fi;
     assert(contents[p] == c);
     atomic { touching[p]--; kernel_done[r] = true };
#ifdef DEVICE_FORGETS
     if :: r != 0 -> wake = true :: else fi
#else
     wake = true
#endif
  od
}

proctype copy_queue() {
  byte p, c;
  mtype direction;
end:
  do
  :: copies?direction, p, c ->
     if
     :: direction == copy_out -> assert(contents[p] == c)
     :: else -> contents[p] = c
     fi;
     atomic { touching[p]--; copy_done[p] = true };
     wake = true
  od
}

ltl every_request_ends { <> finished }
