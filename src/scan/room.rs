//! How much of the memory images may have at one time: many small ones, or a few large ones.

use std::sync::{Condvar, Mutex, PoisonError};

/// Bytes that decoded images may have together.
const MOST: u64 = 1 << 30;

/// What is left of the room.
#[derive(Debug)]
pub(super) struct Room {
    left: Mutex<u64>,
    freed: Condvar,
}

/// Room that is used until it is dropped.
#[derive(Debug)]
pub(super) struct Held<'a> {
    room: &'a Room,
    bytes: u64,
}

impl Room {
    pub(super) fn new() -> Self {
        Self { left: Mutex::new(MOST), freed: Condvar::new() }
    }

    /// Waits until there is room. What is larger than all of it has it alone.
    pub(super) fn take(&self, bytes: u64) -> Held<'_> {
        let bytes = bytes.min(MOST);
        let left = self.left.lock().unwrap_or_else(PoisonError::into_inner);
        let mut left = self.freed.wait_while(left, |left| *left < bytes).unwrap_or_else(PoisonError::into_inner);
        *left -= bytes;
        Held { room: self, bytes }
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        *self.room.left.lock().unwrap_or_else(PoisonError::into_inner) += self.bytes;
        self.room.freed.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_is_given_back_and_the_largest_has_it_alone() {
        let room = Room::new();
        let one = room.take(u64::MAX);
        assert_eq!(*room.left.lock().unwrap(), 0);
        std::thread::scope(|threads| {
            let waiting = threads.spawn(|| drop(room.take(1)));
            drop(one);
            waiting.join().unwrap();
        });
        assert_eq!(*room.left.lock().unwrap(), MOST);
    }
}
