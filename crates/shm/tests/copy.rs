//! A copy of the process, made by a fork. It has a file of its own: a copy also keeps the locks of whatever
//! other tests run at the time.
#![cfg(target_os = "linux")]

use std::sync::atomic::Ordering;

use mp_shm::heap::{Block, Heap};

const THREAD: u32 = 1;

fn write(block: &Block, value: u32) {
    block.word(0).unwrap().store(value, Ordering::Relaxed);
}

fn read(block: &Block) -> u32 {
    block.word(0).unwrap().load(Ordering::Relaxed)
}

#[test]
fn a_copy_keeps_what_it_has_and_gets_tags_of_its_own() {
    let mut heap = Heap::new();
    let block = heap.allocate(THREAD, 64).unwrap();
    let gone = heap.allocate(THREAD + 1, 64).unwrap();
    write(&block, 7);
    let tag = heap.tag(block.handle).unwrap();
    let mut fds = [0; 2];
    // SAFETY: room for two descriptors.
    assert_eq!(unsafe { libc::pipe(fds.as_mut_ptr()) }, 0);
    let leases = heap.leases().unwrap();
    // SAFETY: the copy only uses the heap, which no other thread of this test has.
    let pid = unsafe { libc::fork() };
    if pid == 0 {
        let inside = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            heap.become_copy(THREAD, leases).unwrap();
            assert!(heap.block(gone.handle).is_none());
            let own = heap.tag(block.handle).unwrap();
            assert_ne!(own, tag);
            write(&block, own);
            let other = heap.allocate(THREAD, 64).unwrap();
            assert_ne!(
                other.place, block.place,
                "only its maker divides a segment up"
            );
            let mut byte = 0_u8;
            // SAFETY: one byte of room; the parent closes its end in the end.
            unsafe {
                libc::close(fds[1]);
                libc::read(fds[0], (&raw mut byte).cast(), 1);
            }
            assert_eq!(read(&block), own);
        }));
        // SAFETY: nothing of the parent's is to run in the copy.
        unsafe { libc::_exit(i32::from(inside.is_err())) };
    }
    drop(leases);
    while read(&block) == 7 {
        std::thread::yield_now();
    }
    let theirs = read(&block);
    assert!(heap.is_alive(block.handle, theirs).unwrap());
    let place = (block.place, block.offset);
    heap.release(block.handle);
    heap.release(gone.handle);
    let others: Vec<Block> = (0..64)
        .map(|_| heap.allocate(THREAD, 64).unwrap())
        .collect();
    assert!(
        others
            .iter()
            .all(|other| (other.place, other.offset) != place)
    );
    let watcher = others.iter().find(|other| other.place == place.0).cloned();
    let mut status = 0;
    // SAFETY: descriptors and a child of this test.
    unsafe {
        libc::close(fds[1]);
        libc::close(fds[0]);
        assert_eq!(libc::waitpid(pid, &raw mut status, 0), pid);
    }
    assert_eq!(status, 0);
    let watcher = watcher.expect("there was room in the first arena");
    assert!(!heap.is_alive(watcher.handle, theirs).unwrap());
    let mut found = false;
    for _ in 0..300 {
        let block = heap.allocate(THREAD, 64).unwrap();
        found |= (block.place, block.offset) == place;
    }
    assert!(found, "what the copy had is given out again after its end");
}
