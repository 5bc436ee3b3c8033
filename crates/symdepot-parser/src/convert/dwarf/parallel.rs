//! Work on many items by several threads, with the results taken in order. The order of the results never depends on the
//! number of threads.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;

/// How many results of each thread may wait for their turn to be taken.
const AHEAD: usize = 4;

/// Stack of a thread: nothing here recurses by what a file says.
const STACK: usize = 2 << 20;

struct Shared<T> {
    next: usize,
    taken: usize,
    results: BTreeMap<usize, T>,
}

/// Calls `work` for each index below `count` and `take` with each result, lowest index first.
pub(super) fn in_order<T: Send>(
    count: usize,
    threads: usize,
    work: impl Fn(usize) -> T + Sync,
    mut take: impl FnMut(T),
) {
    if threads <= 1 || count <= 1 {
        (0..count).for_each(|index| take(work(index)));
        return;
    }
    let shared = Mutex::new(Shared { next: 0, taken: 0, results: BTreeMap::new() });
    let (finished, room) = (Condvar::new(), Condvar::new());
    let lock = || shared.lock().unwrap_or_else(PoisonError::into_inner);
    let run = || {
        loop {
            let mut state = lock();
            while state.next < count && state.next >= state.taken + AHEAD * threads {
                state = room.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            let index = state.next;
            if index >= count {
                return;
            }
            state.next += 1;
            drop(state);
            let result = work(index);
            lock().results.insert(index, result);
            finished.notify_one();
        }
    };
    thread::scope(|scope| {
        let spawn = || thread::Builder::new().stack_size(STACK).spawn_scoped(scope, run);
        let started = (0..threads.min(count)).map_while(|_| spawn().ok()).count();
        for index in 0..count {
            if started == 0 {
                take(work(index));
                continue;
            }
            let mut state = lock();
            let result = loop {
                if let Some(result) = state.results.remove(&index) {
                    break result;
                }
                state = finished.wait(state).unwrap_or_else(PoisonError::into_inner);
            };
            state.taken = index + 1;
            drop(state);
            room.notify_all();
            take(result);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn results_come_in_order_however_many_threads_there_are() {
        for threads in [0, 1, 2, 5] {
            let mut taken = Vec::new();
            in_order(100, threads, |index| (index * 7919 % 13, index), |result| taken.push(result.1));
            assert_eq!(taken, (0..100).collect::<Vec<_>>(), "{threads} threads");
        }
    }
}
