"""CPython: a block of shared memory for another process, which attaches to it by its name."""

import multiprocessing
from multiprocessing.shared_memory import SharedMemory

from timing import median_of_repeats, parameters, report


def look_at_both_ends(connection):
    while (name := connection.recv()) is not None:
        block = SharedMemory(name, track=False) if TRACKS else SharedMemory(name)
        ends = (block.buf[0], block.buf[block.size - 1])
        block.close()
        connection.send(ends)


# Before 3.13 those who attach are told to a resource tracker as well.
TRACKS = "track" in SharedMemory.__init__.__code__.co_varnames


def main():
    given = parameters()
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe()
    child = context.Process(target=look_at_both_ends, args=(theirs,))
    child.start()
    theirs.close()
    block = SharedMemory(create=True, size=given["size"])
    block.buf[0], block.buf[given["size"] - 1] = 1, 2

    def hand_over():
        mine.send(block.name)
        if mine.recv() != (1, 2):
            raise RuntimeError("the other process sees something else")

    time = median_of_repeats(given["repeats"], hand_over)
    mine.send(None)
    child.join()
    block.close()
    block.unlink()
    report(time)


if __name__ == "__main__":
    main()
