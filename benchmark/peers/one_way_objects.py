"""CPython: small objects over a Pipe to a child that acknowledges each batch with a sum."""

import multiprocessing
import time

from timing import parameters, report


def add_up(connection, batches):
    for count in batches:
        connection.send(sum(connection.recv()[0] for _ in range(count)))


def main():
    given = parameters()
    batches = (given["warmup"], given["count"])
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe()
    child = context.Process(target=add_up, args=(theirs, batches))
    child.start()
    theirs.close()
    for count in batches:
        begin = time.perf_counter()
        for number in range(count):
            mine.send([number, {"a": 1, "b": "text"}])
        if mine.recv() != count * (count - 1) // 2:
            raise RuntimeError("messages were lost or repeated")
        elapsed = time.perf_counter() - begin
    child.join()
    report(given["count"] / elapsed)


if __name__ == "__main__":
    main()
