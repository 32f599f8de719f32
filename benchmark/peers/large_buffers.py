"""CPython: large buffers over a Pipe to a child that acknowledges each batch."""

import array
import multiprocessing
import time

from timing import parameters, report

FILLING = b"\x07"


def verify(data, size):
    view = memoryview(data).cast("B")
    if len(view) != size or view[0] != FILLING[0] or view[-1] != FILLING[0]:
        raise RuntimeError(f"{size} bytes arrived as {len(view)}")


def receive(connection, batches, size, variant):
    reused = bytearray(size) if variant == "into" else None
    for count in batches:
        for _ in range(count):
            if variant == "bytes":
                verify(connection.recv_bytes(), size)
            elif variant == "into":
                received = connection.recv_bytes_into(reused)
                verify(memoryview(reused)[:received], size)
            else:
                verify(connection.recv(), size)
        connection.send(count)


def main():
    given = parameters()
    size = given["size"]
    variant = given["variant"]
    batches = (given["warmup"], given["count"])
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe()
    child = context.Process(target=receive, args=(theirs, batches, size, variant))
    child.start()
    theirs.close()
    data = FILLING * size
    values = array.array("d", data)
    for count in batches:
        begin = time.perf_counter()
        for _ in range(count):
            if variant == "array":
                mine.send(values)
            else:
                mine.send_bytes(data)
        if mine.recv() != count:
            raise RuntimeError("buffers were lost")
        elapsed = time.perf_counter() - begin
    child.join()
    report(given["count"] * size / elapsed / 1e9)


if __name__ == "__main__":
    main()
