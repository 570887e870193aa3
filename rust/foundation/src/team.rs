//! The threads of a solve.
//!
//! Work comes as a list of items, cut by the size of the problem and never by the number of
//! threads; whoever is free takes the next. Results are returned in the order of the items, so a
//! reduction over them gives the same bits for any number of threads.
//!
//! The calling thread takes its share and asks for interrupts between items. Helpers come from one
//! pool per process, built on first use and found again by process id: after a `fork` the child
//! has none of its parent's threads, so it leaves the parent's pool alone and builds its own.
//! Helpers sleep when there is nothing to do, and one that wakes too late is not waited for: on a
//! busy machine a wake-up may take longer than the work it was meant for.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::stop::POLL_EVERY;
use crate::{Error, Stop};

/// More threads than this are never used.
pub const MAX_THREADS: usize = 1024;

struct Pool {
    process: u32,
    helpers: usize,
    threads: ThreadPool,
}

// A plain pointer, not a lock: a lock held by another thread during a fork would stay locked in
// the child for ever.
static POOL: AtomicPtr<Pool> = AtomicPtr::new(ptr::null_mut());

/// The limit set by [`set_num_threads`]; 0 for none.
static LIMIT: AtomicUsize = AtomicUsize::new(0);

/// The process's pool, with at least `helpers` threads; `None` if the system refuses threads.
fn pool(helpers: usize) -> Option<&'static Pool> {
    let process = std::process::id();
    let current = POOL.load(Ordering::Acquire);
    // SAFETY: the pointer is null or comes from `Box::into_raw` below and is never freed.
    if let Some(pool) = unsafe { current.as_ref() }
        && pool.process == process
        && pool.helpers >= helpers
    {
        return Some(pool);
    }
    let helpers = helpers.next_power_of_two(); // so that growing leaves few pools behind
    let threads = ThreadPoolBuilder::new()
        .num_threads(helpers)
        .thread_name(|i| format!("sparrot-{i}"))
        .build()
        .ok()?;
    // Leaked on purpose: other threads may be using the pool this one replaces, whose threads
    // sleep from now on, or belonged to the process this one was forked from.
    let new = Box::into_raw(Box::new(Pool { process, helpers, threads }));
    match POOL.compare_exchange(current, new, Ordering::AcqRel, Ordering::Acquire) {
        // SAFETY: just made from a box, and from here on never freed.
        Ok(_) => unsafe { new.as_ref() },
        Err(_) => {
            // SAFETY: nobody has seen this pool. Somebody else has put up another one.
            drop(unsafe { Box::from_raw(new) });
            pool(helpers)
        }
    }
}

/// Limits every solve that is not given a number of its own; 0 lifts the limit.
pub fn set_num_threads(limit: usize) {
    LIMIT.store(limit.min(MAX_THREADS), Ordering::Relaxed);
}

/// Sets the limit, or lifts it if that comes to the same: for tools that put back what they found.
pub fn restore_num_threads(count: usize) {
    set_num_threads(if count == unlimited_num_threads() { 0 } else { count });
}

/// The number of threads a solve uses when it is not given one: the limit of
/// [`set_num_threads`], else `SPARROT_NUM_THREADS`, else `OMP_NUM_THREADS`, else the processors
/// that this process may run on.
pub fn num_threads() -> usize {
    match LIMIT.load(Ordering::Relaxed) {
        0 => unlimited_num_threads(),
        limit => limit,
    }
}

fn unlimited_num_threads() -> usize {
    let from = |name| std::env::var(name).ok()?.trim().parse::<usize>().ok().filter(|n| *n > 0);
    from("SPARROT_NUM_THREADS")
        .or_else(|| from("OMP_NUM_THREADS"))
        .unwrap_or_else(|| std::thread::available_parallelism().map_or(1, |n| n.get()))
        .min(MAX_THREADS)
}

/// The threads of one solve.
#[derive(Clone, Copy, Debug)]
pub struct Team {
    /// Threads for the work at hand.
    threads: usize,
    /// Threads for any work, which is what the pool is made for.
    most: usize,
}

impl Team {
    /// A team of that many threads; of [`num_threads`] if not told.
    pub fn new(threads: Option<usize>) -> Team {
        let threads = threads.unwrap_or_else(num_threads).clamp(1, MAX_THREADS);
        Team { threads, most: threads }
    }

    /// How many threads there are, the calling one included.
    pub fn threads(&self) -> usize {
        self.threads
    }

    /// The team for a pass whose work is worth that many nanoseconds: alone below the cost of
    /// waking a helper.
    pub fn for_work(&self, nanoseconds: usize) -> Team {
        const WORTH_WAKING: usize = 400_000;
        Team { threads: self.most.min(1 + nanoseconds / WORTH_WAKING), most: self.most }
    }

    /// Does `work` on every item; the results, in the order of the items.
    ///
    /// # Errors
    /// [`Error::Interrupted`]: some items may not be done.
    pub fn run<I: Send, R: Send>(
        &self,
        stop: &Stop<'_>,
        items: Vec<I>,
        work: impl Fn(I) -> R + Sync,
    ) -> Result<Vec<R>, Error> {
        let helpers = (self.threads - 1).min(items.len().saturating_sub(1));
        let pool = if helpers > 0 { pool(self.most - 1) } else { None };
        let Some(pool) = pool else {
            return items.into_iter().map(|item| stop.poll().map(|()| work(item))).collect();
        };
        let items: Vec<Mutex<Option<I>>> = items.into_iter().map(|i| Mutex::new(Some(i))).collect();
        let results: Vec<Mutex<Option<R>>> = items.iter().map(|_| Mutex::new(None)).collect();
        let next = AtomicUsize::new(0);
        // Takes the next item, if one is left; the locks are never contended.
        let take_one = || -> Option<()> {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let item = items.get(at)?.lock().ok()?.take()?;
            let result = work(item);
            *results[at].lock().ok()? = Some(result);
            Some(())
        };
        let help = || while !stop.is_interrupted() && take_one().is_some() {};
        let door = Door::open(&help);
        for _ in 0..helpers {
            let visit = door.visitor();
            pool.threads.spawn(visit);
        }
        while stop.poll().is_ok() && take_one().is_some() {}
        door.close(stop);
        // Also if the helpers were done before the caller asked.
        if stop.is_interrupted() {
            return Err(Error::Interrupted);
        }
        let results: Option<Vec<R>> =
            results.into_iter().map(|slot| slot.into_inner().ok().flatten()).collect();
        results.ok_or(Error::Interrupted)
    }
}

/// Lets helpers into work that borrows from the caller's stack, until it is closed.
///
/// A helper that comes while the door is open is counted while it is inside; `close`, which also
/// runs when the door is dropped, lets nobody in any more and waits until nobody is inside.
struct Door<'a> {
    inside: Arc<Inside>,
    work: &'a (dyn Fn() + Sync),
}

#[derive(Default)]
struct Inside {
    state: Mutex<DoorState>,
    left: Condvar,
}

#[derive(Default)]
struct DoorState {
    closed: bool,
    helpers: usize,
    panic: Option<Box<dyn Any + Send>>,
}

impl Inside {
    fn state(&self) -> MutexGuard<'_, DoorState> {
        // No code that can panic runs under this lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The work, for a helper to call if it is let in.
struct Work(*const (dyn Fn() + Sync));

// SAFETY: what it points to may be called from any thread at once.
unsafe impl Send for Work {}

impl Work {
    /// # Safety
    /// What it points to must be alive.
    unsafe fn call(&self) {
        // SAFETY: the caller's promise.
        unsafe { (*self.0)() }
    }
}

impl<'a> Door<'a> {
    fn open(work: &'a (dyn Fn() + Sync)) -> Door<'a> {
        Door { inside: Arc::default(), work }
    }

    /// A visit to the work, for a helper to make at any time, even after the door is gone.
    fn visitor(&self) -> impl FnOnce() + Send + 'static {
        let inside = Arc::clone(&self.inside);
        // SAFETY: only the lifetime of a pointer changes, which promises nothing.
        let work = Work(unsafe {
            std::mem::transmute::<*const (dyn Fn() + Sync + '_), *const (dyn Fn() + Sync)>(
                self.work,
            )
        });
        move || {
            {
                let mut state = inside.state();
                if state.closed {
                    return;
                }
                state.helpers += 1;
            }
            // SAFETY: the work lives: this helper has been counted in while the door was open, and
            // `close`, which runs before the borrow of the work ends, at the latest in `drop`,
            // waits until it is counted out.
            let outcome = catch_unwind(AssertUnwindSafe(|| unsafe { work.call() }));
            let mut state = inside.state();
            state.helpers -= 1;
            if let Err(panic) = outcome {
                state.panic.get_or_insert(panic);
            }
            drop(state);
            inside.left.notify_one();
        }
    }

    /// Waits for the helpers inside, asking for interrupts meanwhile; passes on what one of them
    /// panicked with.
    fn close(self, stop: &Stop<'_>) {
        let mut state = self.inside.state();
        state.closed = true;
        while state.helpers > 0 {
            let left = &self.inside.left;
            let woken =
                left.wait_timeout(state, POLL_EVERY).unwrap_or_else(PoisonError::into_inner);
            drop(woken);
            // They see the flag that this sets.
            let _ = stop.poll();
            state = self.inside.state();
        }
        drop(state);
        if let Some(panic) = self.wait() {
            resume_unwind(panic);
        }
    }

    fn wait(&self) -> Option<Box<dyn Any + Send>> {
        let mut state = self.inside.state();
        state.closed = true;
        while state.helpers > 0 {
            state = self.inside.left.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.panic.take()
    }
}

impl Drop for Door<'_> {
    fn drop(&mut self) {
        self.wait();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stop::{Observer, Unobserved};

    #[test]
    fn results_come_in_order_for_any_number_of_threads() {
        let stop = Stop::new(&Unobserved, None);
        for threads in [1, 2, 3, 8] {
            let mut data = vec![0; 1000];
            let items: Vec<_> = data.chunks_mut(7).enumerate().collect();
            let sums = Team::new(Some(threads))
                .run(&stop, items, |(k, chunk)| {
                    chunk.iter_mut().enumerate().for_each(|(j, x)| *x = 7 * k + j);
                    chunk.iter().sum::<usize>()
                })
                .unwrap();
            assert!(data.iter().enumerate().all(|(j, x)| *x == j));
            assert_eq!(sums.iter().sum::<usize>(), 1000 * 999 / 2);
            assert_eq!(sums[1], (7..14).sum::<usize>());
        }
    }

    #[test]
    fn an_interrupt_ends_the_run() {
        struct Now;
        impl Observer for Now {
            fn interrupted(&self) -> bool {
                true
            }
        }
        for threads in [1, 4] {
            let stop = Stop::new(&Now, None);
            let ended = Team::new(Some(threads)).run(&stop, (0..100).collect(), |i: i32| i);
            assert_eq!(ended, Err(Error::Interrupted));
        }
    }

    #[test]
    fn a_panic_in_a_helper_reaches_the_caller() {
        let caught = std::panic::catch_unwind(|| {
            let stop = Stop::new(&Unobserved, None);
            Team::new(Some(4)).run(&stop, (0..100).collect(), |i: i32| assert!(i < 50))
        });
        assert!(caught.is_err());
    }

    #[test]
    fn the_limit_comes_before_the_environment() {
        set_num_threads(3);
        assert_eq!(num_threads(), 3);
        assert_eq!(Team::new(None).threads(), 3);
        assert_eq!(Team::new(Some(2)).threads(), 2);
        set_num_threads(0);
        assert_eq!(Team::new(Some(8)).for_work(0).threads(), 1);
        assert_eq!(Team::new(Some(8)).for_work(usize::MAX).threads(), 8);
    }
}
