"""How two processes add to one number at the same time: the same way as benchmark/until.ts."""

import multiprocessing
import time

PIECE = 256


def repeat_for(milliseconds, operation):
    """Repeat an operation for so many milliseconds; return how many times it was done."""
    now = time.perf_counter
    end = now() + milliseconds / 1e3
    count = 0
    while True:
        for _ in range(PIECE):
            operation()
        count += PIECE
        if now() >= end:
            return count


def _add_when_told(connection, make_operation, *shared):
    operation = make_operation(*shared)
    while (milliseconds := connection.recv()) is not None:
        connection.send(repeat_for(milliseconds, operation))


def millions_per_second(amounts, make_operation, number, *shared):
    """How many million times a second two processes do what `make_operation(*shared)` returns."""
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe()
    child = context.Process(target=_add_when_told, args=(theirs, make_operation, *shared))
    child.start()
    theirs.close()
    operation = make_operation(*shared)

    def run(milliseconds):
        mine.send(milliseconds)
        begin = time.perf_counter()
        total = repeat_for(milliseconds, operation)
        total += mine.recv()
        return total, time.perf_counter() - begin

    run(amounts["warmup"])
    number.value = 0
    total, seconds = run(amounts["duration"])
    mine.send(None)
    child.join()
    if number.value != total:
        raise RuntimeError(f"{total} were added, but there are {number.value}")
    return total / seconds / 1e6
