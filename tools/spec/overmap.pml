/*
 * Overmap and unmap, as a model for spin: does anybody see a page of a backing that has been answered away?
 * Run it with tools/spec/check. What it means: the article Overmap-Order of XIVEDevice's documentation.
 *
 * One source; one page of it in each of two windows, 0 the kernel's window and 1 its alias, region 1. What
 * serves the source is a generation, as the backing word counts them: 1 its own page, 2 device A, 3 its own
 * page again, 4 device B on the same number. So a page of the wrong device is a page of a lower number.
 *
 * Sources: Linux mm/filemap.c (filemap_fault), mm/truncate.c (invalidate_inode_pages2_range,
 * folio_unmap_invalidate), fs/fuse/file.c (fuse_do_readfolio, fuse_launder_folio).
 *
 * Size: PLUGS and OTHERS, requests of the two operators; ALONE, one consumer; WIDE, each consumer does
 * everything; THREADS, that serve requests; LIVE, the liveness property, with that many pages reclaimed.
 * Wrong on purpose, each of which must fail: ZAP_FIRST; SKIP_ALIAS, only window 0 is zapped; NO_GATE, the answer
 * does not wait for exact accesses; ZAP_IN_HANDLER, the thread that takes the request zaps, and all threads may.
 *
 * ZAP_FIRST, the order of the in-kernel device (book3s_xive.c, kvmppc_xive_set_mapped), fails like this:
 *
 *   operator   asks for device A: generation 2 is to serve the source; until now it is 1
 *   request    a thread takes the request and hands it to the notifier; nothing is published yet
 *   notifier   zaps window 0: nothing is cached there, so nothing is to be done
 *   consumer   touches its page in window 0: the kernel puts a locked page in its cache, and sends a READ
 *   request    a thread takes the READ, samples the backing word, 1, and answers with a page of generation 1,
 *              which unlocks it
 *   notifier   zaps window 1: nothing is cached there either
 *   notifier   publishes 2, waits for exact accesses (there are none), and answers the operator
 *   consumer   maps the page of window 0: generation 1, which the operator has been told is gone. No zap will
 *              come for it, so it stays for as long as the consumer uses it
 *
 * With the publication first, the READ either samples 2, or its page was in the cache, locked, before the zap
 * came there: then the zap waits for the answer, and drops the page.
 */

#ifndef THREADS
#define THREADS 2
#endif
#ifndef PLUGS
#define PLUGS 3
#endif
#ifndef OTHERS
#define OTHERS 0
#endif

/* ---- the server ---- */

byte word = 1;          /* the generation that serves the source */
byte job[2], batch[2];  /* for each operator: the generation to zap for, handed over and taken */
byte controls;          /* threads that handle control requests; one thread always stays out of it */
byte aside;             /* the operator whose request waits for a thread, plus 1 */
bool draining;          /* one at a time */
bit phase;              /* which of the two counters exact accesses enter now */
byte inside[2];         /* exact accesses that may have sampled the word */

/* The highest generation that an operator has been told of. The model's knowledge, not the server's. */
byte answered = 1;
#ifndef ZAP_IN_HANDLER
#define LIVES(generation) assert((generation) >= answered)
#else
#define LIVES(generation) skip  /* wrong as well: two zaps at once. Only the deadlock is looked for. */
#endif

/* ---- the kernel: requests in their order, the page cache, who waits ---- */

mtype = { READ, WRITE, EXACT, CONTROL };
chan requests = [8] of { mtype, bit };  /* READ and WRITE of a window, EXACT of a consumer, CONTROL */
bool accessing[2], asking[2], faulting[2];

bool cached[2];   /* a page is in the cache */
bool locked[2];   /* it is locked, by its fill or by a zap */
byte image[2];    /* the generation that filled it; 0 not filled yet */
bool dirty[2];    /* a store has changed it since it was written back */
bool writing[2];  /* it is being written back */
bool aimed[2];    /* it is the page that the zap found, not one inserted since */
byte pte[4];      /* for each consumer and window: the generation that it has mapped, 0 none */
#define PTE(consumer, window) pte[2 * (consumer) + (window)]

/* A page comes into the cache locked, and only then is its READ sent. */
inline insert(w) { cached[w] = true; locked[w] = true; requests!READ(w) }
inline remove(w) { cached[w] = false; image[w] = 0; aimed[w] = false }
inline unmap(w) { PTE(0, w) = 0; PTE(1, w) = 0 }
inline write_back(w) { dirty[w] = false; writing[w] = true; requests!WRITE(w) }

/* The invalidation of one window's page. Steps apart, for others run between them. */
inline zap(w) {
  if
  :: atomic { cached[w] -> aimed[w] = true };
     if
     :: atomic { aimed[w] && !locked[w] -> locked[w] = true };  /* waits for the fill's answer */
        atomic { !writing[w] -> unmap(w) };
        if
        :: atomic { dirty[w] -> write_back(w) };  /* launders it: a request thread must answer */
           !writing[w]
        :: atomic { else }
        fi;
        atomic {
          if
          :: dirty[w] -> aimed[w] = false  /* stored to again: EBUSY, the page stays, nobody is told */
          :: else -> remove(w)
          fi;
          locked[w] = false
        }
     :: atomic { !aimed[w] }  /* another has dropped it; a new one was asked for after the zap began */
     fi
  :: atomic { !cached[w] }
  fi
}

/* What happens to pages unasked: the tick's or the flusher's write-back, and reclaim. */
#ifdef LIVE
byte drops = LIVE;
#define MAY_DROP (drops > 0)
#define DROPPED drops--
#else
#define MAY_DROP true
#define DROPPED skip
#endif

inline clean(w) { atomic { dirty[w] && !locked[w] && !writing[w] -> write_back(w) } }
inline drop(w) {
  atomic {
    MAY_DROP && cached[w] && !locked[w] && !writing[w] && !dirty[w] -> unmap(w); remove(w); DROPPED
  }
}

proctype kernel() {
end:
  do
  :: clean(0)
  :: clean(1)
  :: drop(0)
  :: drop(1)
  od
}

/* ---- consumers: a process each, with the device mapped and open for exact access ---- */

inline map(w) { LIVES(image[w]); PTE(me, w) = image[w] }

/* What a consumer may do with the page of a window when it waits for nothing. */
#define TOUCHES(w) \
  /* a load, and a store: through a mapping, and the first store to a clean page takes a fault */ \
  :: atomic { PTE(me, w) -> LIVES(PTE(me, w)) } \
  :: atomic { PTE(me, w) && (dirty[w] || (!locked[w] && !writing[w])) -> \
       LIVES(PTE(me, w)); dirty[w] = true } \
  /* a fault, which maps only a page that is in the cache, filled and unlocked; else it waits */ \
  :: atomic { !PTE(me, w) && cached[w] && !locked[w] -> map(w) } \
  :: atomic { !PTE(me, w) && cached[w] && locked[w] -> page = w; faulting[me] = true; goto fault } \
  :: atomic { !cached[w] -> insert(w); page = w; faulting[me] = true; goto fault } \
  /* read-ahead */ \
  :: atomic { !cached[w] -> insert(w) }

proctype consumer(bit me; bool has_alias, is_exact) {
  bit page;
idle:
  do
  TOUCHES(0)
  TOUCHES(has_alias)
  :: is_exact -> atomic { accessing[me] = true; requests!EXACT(me) }; !accessing[me]
  :: break
  od;
  goto done;
fault:
  do
  :: atomic { !cached[page] -> insert(page) }  /* dropped before it could be mapped: asks again */
  :: atomic { cached[page] && !locked[page] -> map(page); page = 0; faulting[me] = false; goto idle }
  od;
done:
}

/* ---- operators: each waits for the answer, and may ask again on the same numbers at once ---- */

proctype operator(bit me; byte count) {
  do
  :: count > 0 ->
     atomic { asking[me] = true; requests!CONTROL(me) };
     atomic { !asking[me] -> count-- }
  :: else -> break
  od
}

/* Waits until all exact accesses that may have sampled an older word have left. Once is not enough: an
 * access that read the phase before a flip may enter after it, and be missed by the next request's. */
inline drain() {
  atomic { !draining -> draining = true };
  phase = 1 - phase;
  inside[1 - phase] == 0;
  phase = 1 - phase;
  atomic { inside[1 - phase] == 0 -> draining = false }
}

inline zap_windows() {
  zap(0);
#ifndef SKIP_ALIAS
  zap(1)
#endif
}

inline answer(operator_, generation) {
  answered = (generation > answered -> generation : answered);
  asking[operator_] = false
}

/* ---- the server's threads ---- */

proctype request_thread() {
  bit i, p;
  byte g;
end:
  do
  :: atomic { requests?READ(i) -> g = word };
     atomic { image[i] = g; locked[i] = false; i = 0; g = 0 }

  :: atomic { requests?WRITE(i) -> g = word };
     /* What was stored acts on the backing now. The zap waits for this, so it needs no gate. */
     atomic { LIVES(g); LIVES(image[i]); writing[i] = false; i = 0; g = 0 }

  :: atomic { requests?EXACT(i) -> p = phase };
     inside[p]++;
     g = word;
     atomic { LIVES(g); inside[p]--; accessing[i] = false; i = 0; g = 0; p = 0 }

  :: atomic {
       requests?CONTROL(i) ->
#ifndef ZAP_IN_HANDLER
       if
       :: controls == THREADS - 1 -> aside = i + 1; i = 0; goto end
       :: else -> controls++
       fi
#endif
     };
handle:
     /* The payload may lie in a page of the device itself, which another thread must then fill. */
     if
     :: true
     :: do
        :: atomic { cached[0] && !locked[0] -> break }
        :: atomic { !cached[0] -> insert(0) }
        od
     fi;
#ifndef ZAP_FIRST
     atomic { word++; g = word };
#ifndef NO_GATE
     drain();
#endif
#endif
#ifdef ZAP_IN_HANDLER
     zap_windows();
     atomic { answer(i, g); i = 0; g = 0 }
#else
     atomic {
       /* The notifier answers. This thread is free again, and takes what was put aside. */
       job[i] = (g -> g : 1); i = 0; g = 0;
       if
       :: aside -> i = aside - 1; aside = 0; goto handle
       :: else -> controls--
       fi
     }
#endif
  od
}

inline publish_late(operator_) {
  if
  :: batch[operator_] -> word++; batch[operator_] = word
  :: else
  fi
}
inline answer_batch(operator_) {
  if
  :: batch[operator_] -> answer(operator_, batch[operator_]); batch[operator_] = 0
  :: else
  fi
}

proctype notifier() {
end:
  do
  :: atomic { job[0] || job[1] ->
       batch[0] = job[0]; batch[1] = job[1]; job[0] = 0; job[1] = 0
     };
     zap_windows();
#ifdef ZAP_FIRST
     atomic { publish_late(0); publish_late(1) };
     drain();
#endif
     atomic { answer_batch(0); answer_batch(1) }
  od
}

#ifdef ZAP_IN_HANDLER
/* Nothing can go on: not for a launder WRITE that no thread is left to answer. (Nor for a READ: also found.) */
proctype stuck() {
end:
  timeout -> assert(!writing[0] && !writing[1])
}
#endif

init {
  atomic {
#ifdef ZAP_IN_HANDLER
    run stuck();
#endif
    run notifier();
    run request_thread();
    run request_thread();
#if THREADS > 2
    run request_thread();
#endif
    run kernel();
    run operator(0, PLUGS);
    run operator(1, OTHERS);
#if defined(WIDE)
    run consumer(0, true, true);
    run consumer(1, true, true)
#elif defined(ALONE)
    run consumer(0, true, true)
#else
    run consumer(0, false, true);
    run consumer(1, true, false)
#endif
  }
}

#ifdef LIVE
#define IS_ANSWERED(what) [] ((what) -> <> !(what))
ltl every_wait_ends {
  IS_ANSWERED(faulting[0]) && IS_ANSWERED(faulting[1]) && IS_ANSWERED(asking[0]) &&
  IS_ANSWERED(asking[1]) && IS_ANSWERED(accessing[0]) && IS_ANSWERED(accessing[1])
}
#endif
