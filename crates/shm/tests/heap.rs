//! Heaps that exchange blocks. Several of them in one process are to each other what those of several
//! processes are: their locks belong to descriptions of their own.
#![cfg(target_os = "linux")]

use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::Ordering;

use mp_shm::heap::{Block, Handle, Heap};
use proptest::prelude::*;

const THREAD: u32 = 1;

/// What a message brings of a block.
#[derive(Debug)]
struct Sent {
    lease: OwnedFd,
    offset: usize,
    size: usize,
}

fn send(heap: &mut Heap, handle: Handle) -> Sent {
    let lease = heap.open_lease(handle).unwrap();
    heap.lease(handle, lease.as_fd()).unwrap();
    let &Block { offset, size, .. } = heap.block(handle).unwrap();
    Sent {
        lease,
        offset,
        size,
    }
}

fn receive(heap: &mut Heap, sent: Sent) -> Block {
    heap.attach(THREAD, sent.lease.as_fd(), sent.offset, sent.size)
        .unwrap()
}

fn write(block: &Block, value: u32) {
    block.word(0).unwrap().store(value, Ordering::Relaxed);
}

fn read(block: &Block) -> u32 {
    block.word(0).unwrap().load(Ordering::Relaxed)
}

/// Fills what is left of the arenas, so that the next block would need another one.
fn fill(heap: &mut Heap) -> Vec<Handle> {
    let (segments, _) = heap.usage();
    let mut taken = Vec::new();
    while heap.usage().0 == segments {
        taken.push(heap.allocate(THREAD, 64).unwrap().handle);
    }
    let last = taken.pop().unwrap();
    heap.release(last);
    taken
}

#[test]
fn both_sides_see_the_same_memory() {
    let (mut here, mut there) = (Heap::new(), Heap::new());
    for size in [4, 100, 5000, 3 << 20] {
        let block = here.allocate(THREAD, size).unwrap();
        assert_eq!(read(&block), 0);
        let sent = send(&mut here, block.handle);
        let received = receive(&mut there, sent);
        assert_eq!(received.size, size);
        write(&received, 7);
        assert_eq!(read(&block), 7);
    }
}

#[test]
fn blocks_lie_apart_and_are_aligned() {
    let mut heap = Heap::new();
    let blocks: Vec<Block> = (0..300)
        .map(|size| heap.allocate(THREAD, size).unwrap())
        .collect();
    let mut ranges: Vec<_> = (blocks.iter())
        .map(|block| (block.place, block.offset, block.size.max(1)))
        .collect();
    ranges.sort_unstable();
    assert!(ranges.iter().all(|(_, offset, _)| offset % 64 == 0));
    for pair in ranges.windows(2) {
        assert!(pair[0].0 != pair[1].0 || pair[0].1 + pair[0].2 <= pair[1].1);
    }
}

#[test]
fn a_block_outlives_its_sender_in_an_unread_message_and_in_the_receiver() {
    let (mut here, mut there) = (Heap::new(), Heap::new());
    let block = here.allocate(THREAD, 64).unwrap();
    let place = (block.place, block.offset);
    write(&block, 7);
    let sent = send(&mut here, block.handle);
    here.release(block.handle);
    drop(block);

    let again = here.allocate(THREAD, 64).unwrap();
    assert_ne!((again.place, again.offset), place);
    let others = fill(&mut here);
    let received = receive(&mut there, sent);
    assert_eq!(read(&received), 7);
    others.into_iter().for_each(|handle| here.release(handle));
    let others = fill(&mut here);
    assert_eq!(read(&received), 7);
    others.into_iter().for_each(|handle| here.release(handle));

    there.release(received.handle);
    let mut places = Vec::new();
    for _ in 0..200 {
        let block = here.allocate(THREAD, 64).unwrap();
        assert_eq!(read(&block), 0, "memory that is given out again is zeros");
        places.push((block.place, block.offset));
    }
    assert!(
        places.contains(&place),
        "what nobody needs is given out again"
    );
}

#[test]
fn the_last_arena_is_left_only_when_it_is_empty() {
    let mut heap = Heap::new();
    let first = heap.allocate(1, 8).unwrap();
    heap.leave_last_arena();
    write(&first, 1);
    assert_eq!(heap.usage().0, 1);
    heap.release(first.handle);
    heap.leave_last_arena();
    assert_eq!(heap.usage(), (0, 0));
    let second = heap.allocate(1, 8).unwrap();
    assert_ne!(second.handle, first.handle);
    assert_eq!(read(&second), 0);
}

#[test]
fn a_message_that_is_never_read_gives_the_block_back() {
    let mut heap = Heap::new();
    let block = heap.allocate(THREAD, 64).unwrap();
    let sent = send(&mut heap, block.handle);
    heap.release(block.handle);
    assert_eq!(heap.usage(), (1, 64));
    drop(sent);
    fill(&mut heap).into_iter().for_each(|h| heap.release(h));
    assert_eq!(heap.usage().1, 0);
}

#[test]
fn a_block_that_comes_back_is_the_same_one() {
    let mut heap = Heap::new();
    let block = heap.allocate(THREAD, 100).unwrap();
    write(&block, 7);
    let [one, two] = [(); 2].map(|()| send(&mut heap, block.handle));
    let back = receive(&mut heap, one);
    assert_eq!((back.place, back.offset), (block.place, block.offset));
    heap.release(block.handle);
    heap.release(back.handle);
    let resurrected = receive(&mut heap, two);
    assert_eq!(
        (resurrected.place, resurrected.offset, read(&resurrected)),
        (block.place, block.offset, 7)
    );
    heap.release(resurrected.handle);
    assert_eq!(heap.usage(), (1, 0));
}

#[test]
fn tags_tell_of_their_members_end() {
    let (mut here, mut there) = (Heap::new(), Heap::new());
    let block = here.allocate(THREAD, 64).unwrap();
    let tag = here.tag(block.handle).unwrap();
    assert_eq!(here.tag(block.handle).unwrap(), tag);
    let received = receive_from(&mut here, block.handle, &mut there);
    let other = there.tag(received.handle).unwrap();
    assert!(tag != other && tag != 0 && other != 0);
    for heap_and_handle in [(&here, block.handle), (&there, received.handle)] {
        let (heap, handle) = heap_and_handle;
        assert!(heap.is_alive(handle, tag).unwrap());
        assert!(heap.is_alive(handle, other).unwrap());
        assert!(!heap.is_alive(handle, other + 1).unwrap());
    }
    drop(there);
    assert!(!here.is_alive(block.handle, other).unwrap());
    here.leave(THREAD);
    let mut third = Heap::new();
    let block = here.allocate(THREAD + 1, 64).unwrap();
    let seen = receive_from(&mut here, block.handle, &mut third);
    assert!(!third.is_alive(seen.handle, tag).unwrap());
}

fn receive_from(from: &mut Heap, handle: Handle, to: &mut Heap) -> Block {
    let sent = send(from, handle);
    receive(to, sent)
}

#[test]
fn tags_that_are_taken_are_left_out_when_they_come_round_again() {
    let mut heap = Heap::new();
    let [one, two] = [1, 2].map(|thread| heap.allocate(thread, 64).unwrap());
    let first = heap.tag(one.handle).unwrap();
    let lease = heap.open_lease(one.handle).unwrap();
    let segment = mp_shm::Segment::attach(lease.as_fd()).unwrap();
    segment.next_member().store(u32::MAX - 1, Ordering::Relaxed);
    let mut tags = vec![first, heap.tag(two.handle).unwrap()];
    for thread in 3..8 {
        let block = heap.allocate(thread, 64).unwrap();
        assert_eq!(block.place, one.place);
        tags.push(heap.tag(block.handle).unwrap());
    }
    assert!(tags.iter().all(|tag| (1..1 << 29).contains(tag)));
    tags.sort_unstable();
    tags.dedup();
    assert_eq!(tags.len(), 7);
}

mod hostile {
    use std::fs::File;
    use std::io::{Seek, SeekFrom, Write};

    use mp_os::{memory_file, shared_memory, socket};
    use mp_shm::AttachError;

    use super::*;

    fn refused(file: impl AsFd, offset: usize, size: usize) -> &'static str {
        let mut heap = Heap::new();
        match heap.attach(THREAD, file.as_fd(), offset, size) {
            Err(AttachError::Malformed(why)) => {
                assert_eq!(heap.usage().0, 0, "nothing is kept of it");
                why
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_no_segment_is_refused() {
        let no_end = "it is not memory of a size that is final";
        let (socket, _other) = socket::pair().unwrap();
        assert_eq!(refused(socket, 4096, 64), no_end);
        assert_eq!(refused(File::open("/dev/zero").unwrap(), 4096, 64), no_end);
        assert_eq!(
            refused(File::open("/proc/self/maps").unwrap(), 4096, 64),
            no_end
        );
        assert_eq!(
            refused(memory_file::create(&[&[0; 9000]]).unwrap(), 4096, 64),
            no_end
        );
        let small = "it is too small";
        assert_eq!(
            refused(shared_memory::create(4095).unwrap(), 4096, 64),
            small
        );
        let headless = "it has no header that is understood";
        assert_eq!(
            refused(shared_memory::create(8192).unwrap(), 4096, 64),
            headless
        );
    }

    #[test]
    fn a_header_that_lies_is_refused() {
        for (at, bytes, why) in [
            (0, &b"x"[..], "it has no header that is understood"),
            (8, b"\x02", "it has no header that is understood"),
            (16, b"\x40", "its header tells of another size"),
            (20, b"\x01", "its header tells of another size"),
        ] {
            let (segment, file) = mp_shm::Segment::create(4096).unwrap();
            let mut file = File::from(file);
            file.seek(SeekFrom::Start(at)).unwrap();
            file.write_all(bytes).unwrap();
            assert_eq!(refused(&file, 4096, 64), why);
            drop(segment);
        }
    }

    #[test]
    fn ranges_outside_are_refused() {
        let (_segment, file) = mp_shm::Segment::create(8192).unwrap();
        let outside = "the block is outside its segment";
        for (offset, size) in [
            (0, 64),
            (4032, 64),
            (4100, 64),
            (4096, 8193),
            (12288, 0),
            (12224, 65),
            (usize::MAX - 63, 64),
            (usize::MAX & !63, 1),
            (1 << 62, 64),
            (4096, usize::MAX - 64),
        ] {
            assert_eq!(refused(&file, offset, size), outside, "{offset} {size}");
        }
        assert_eq!(refused(&file, 4096, usize::MAX), "the block is too large");
        let mut heap = Heap::new();
        assert!(heap.attach(THREAD, file.as_fd(), 4096, 8192).is_ok());
    }

    #[test]
    fn a_range_that_somebody_claims_for_himself_is_refused() {
        use mp_os::file_lock::{Access, try_lock};
        let (_segment, file) = mp_shm::Segment::create(8192).unwrap();
        assert!(try_lock(file.as_fd(), 4096, 64, Access::Exclusive).unwrap());
        let again = shared_memory::reopen(file.as_fd()).unwrap();
        assert_eq!(refused(again, 4096, 64), "somebody else claims the block");
    }

    #[test]
    fn of_ones_own_segments_only_blocks_come_back() {
        let mut heap = Heap::new();
        let block = heap.allocate(THREAD, 100).unwrap();
        let sent = send(&mut heap, block.handle);
        let lease = sent.lease.as_fd();
        for (offset, size) in [
            (block.offset + 64, 64),
            (block.offset, 64),
            (block.offset, 200),
        ] {
            let refusal = heap.attach(THREAD, lease, offset, size).unwrap_err();
            assert_eq!(refusal.to_string(), "there is no such block");
        }
        assert_eq!(heap.usage(), (1, 128));
        assert!(heap.attach(THREAD, lease, block.offset, 100).is_ok());
    }

    #[test]
    fn numbers_of_no_block_are_errors() {
        let mut heap = Heap::new();
        let block = heap.allocate(THREAD, 6).unwrap();
        let lease = heap.open_lease(block.handle).unwrap();
        assert!(block.word(0).is_some());
        for offset in [1, 4, 8, usize::MAX, usize::MAX - 3] {
            assert!(block.word(offset).is_none());
        }
        heap.release(block.handle);
        heap.release(block.handle);
        heap.release(0);
        assert!(heap.open_lease(block.handle).is_err());
        assert!(heap.lease(block.handle, lease.as_fd()).is_err());
        assert!(heap.tag(block.handle).is_err());
        assert!(heap.is_alive(block.handle, 1).is_err());
        assert_eq!(heap.usage(), (1, 0));
    }
}

/// One thing that happens to one of two heaps.
#[derive(Clone, Debug)]
enum Step {
    Allocate(bool, usize),
    Send(bool, usize),
    Receive(bool, usize),
    Lose(usize),
    Release(bool, usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (any::<bool>(), 4..3000_usize).prop_map(|(side, size)| Step::Allocate(side, size)),
        3 => (any::<bool>(), any::<usize>()).prop_map(|(side, which)| Step::Send(side, which)),
        3 => (any::<bool>(), any::<usize>()).prop_map(|(side, which)| Step::Receive(side, which)),
        1 => any::<usize>().prop_map(Step::Lose),
        4 => (any::<bool>(), any::<usize>()).prop_map(|(side, which)| Step::Release(side, which)),
    ];
    prop::collection::vec(step, 0..150)
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 64,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Every block has a number of its own written into it; wherever it goes, that is what is found.
    #[test]
    fn nothing_is_given_out_while_anybody_has_it(steps in steps()) {
        let mut heaps = [Heap::new(), Heap::new()];
        let mut live: [Vec<(Block, u32)>; 2] = [Vec::new(), Vec::new()];
        let mut under_way: Vec<(Sent, u32)> = Vec::new();
        let mut next = 0;
        for step in steps {
            match step {
                Step::Allocate(side, size) => {
                    let block = heaps[usize::from(side)].allocate(THREAD, size).unwrap();
                    prop_assert_eq!(read(&block), 0);
                    next += 1;
                    write(&block, next);
                    live[usize::from(side)].push((block, next));
                }
                Step::Send(side, which) if !live[usize::from(side)].is_empty() => {
                    let mine = &live[usize::from(side)];
                    let (block, number) = &mine[which % mine.len()];
                    under_way.push((send(&mut heaps[usize::from(side)], block.handle), *number));
                }
                Step::Receive(side, which) if !under_way.is_empty() => {
                    let (sent, number) = under_way.swap_remove(which % under_way.len());
                    let block = receive(&mut heaps[usize::from(side)], sent);
                    live[usize::from(side)].push((block, number));
                }
                Step::Lose(which) if !under_way.is_empty() => {
                    under_way.swap_remove(which % under_way.len());
                }
                Step::Release(side, which) if !live[usize::from(side)].is_empty() => {
                    let mine = &mut live[usize::from(side)];
                    let (block, _) = mine.swap_remove(which % mine.len());
                    heaps[usize::from(side)].release(block.handle);
                }
                _ => {}
            }
            for (block, number) in live.iter().flatten() {
                prop_assert_eq!(read(block), *number);
            }
        }
        under_way.clear();
        for (heap, mine) in heaps.iter_mut().zip(&live) {
            mine.iter().for_each(|(block, _)| heap.release(block.handle));
        }
        for heap in &mut heaps {
            // It is in nobody's hands by now.
            heap.look_elsewhere();
            let (segments, bytes) = heap.usage();
            prop_assert!(segments <= 1, "{segments} segments are left");
            prop_assert_eq!(bytes, 0);
            heap.leave_last_arena();
            prop_assert_eq!(heap.usage(), (0, 0));
        }
    }
}
