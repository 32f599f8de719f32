"""CPython: its Queue and SimpleQueue, in all the parts that are about queues."""

import multiprocessing
import os
import re
import time

from timing import mean_time, parameters, report

FILLING = b"\x07"
SIDE = 4
MUCH = 8 * 2**20


def add_up(connection, queue, batches):
    for count in batches:
        connection.send(sum(queue.get()[0] for _ in range(count)))


def add_up_when_told(connection, queue, batches):
    for count in batches:
        # Lest it take from the batch before what is not for it.
        connection.recv()
        connection.send(sum(queue.get()[0] for _ in range(count)))


def put_objects(connection, queue, batches):
    for count in batches:
        connection.recv()
        for number in range(count):
            queue.put([number, {"a": 1, "b": "text"}])


def count_bytes(connection, queue, batches):
    for count in batches:
        connection.send(sum(len(queue.get()) for _ in range(count)))


def take_large(connection, queue, batches, size):
    for count in batches:
        for _ in range(count):
            data = queue.get()
            if len(data) != size or data[0] != FILLING[0] or data[-1] != FILLING[0]:
                raise RuntimeError(f"{size} bytes arrived as {len(data)}")
        connection.send(count)


def echo(_connection, there, back):
    while True:
        message = there.get()
        if message is None:
            return
        back.put(message)


def wait(connection, queue, back):
    back.put(bytes(MUCH))
    connection.send(os.getpid())
    queue.get()


def start_pair(context, target, *rest):
    mine, theirs = context.Pipe()
    child = context.Process(target=target, args=(theirs, *rest))
    child.start()
    theirs.close()
    return child, mine


def rate_of(batches, deliver):
    for count in batches:
        begin = time.perf_counter()
        deliver(count)
        elapsed = time.perf_counter() - begin
    return batches[-1] / elapsed


def one_way(given, context, make):
    batches = (given["warmup"], given["count"])
    queue = make()
    child, connection = start_pair(context, add_up, queue, batches)

    def deliver(count):
        for number in range(count):
            queue.put([number, {"a": 1, "b": "text"}])
        if connection.recv() != count * (count - 1) // 2:
            raise RuntimeError("messages were lost or repeated")

    rate = rate_of(batches, deliver)
    child.join()
    return rate


def several(given, context, make):
    batches = (given["warmup"], given["count"])
    shares = tuple(count // SIDE for count in batches)
    queue = make()
    consumers = [start_pair(context, add_up_when_told, queue, shares) for _ in range(SIDE)]
    producers = [start_pair(context, put_objects, queue, shares) for _ in range(SIDE)]

    def deliver(count):
        for _, connection in consumers + producers:
            connection.send("go")
        share = count // SIDE
        if sum(connection.recv() for _, connection in consumers) != SIDE * share * (share - 1) // 2:
            raise RuntimeError("messages were lost or repeated")

    rate = rate_of(batches, deliver)
    for child, _ in producers + consumers:
        child.join()
    return rate


def small_bytes(given, context, make):
    batches = (given["warmup"], given["count"])
    size = given["size"]
    queue = make()
    child, connection = start_pair(context, count_bytes, queue, batches)
    data = FILLING * size

    def deliver(count):
        for _ in range(count):
            queue.put(data)
        if connection.recv() != count * size:
            raise RuntimeError("bytes were lost")

    rate = rate_of(batches, deliver)
    child.join()
    return rate


def large(given, context, make):
    batches = (given["warmup"], given["count"])
    size = given["size"]
    queue = make()
    child, connection = start_pair(context, take_large, queue, batches, size)
    data = FILLING * size

    def deliver(count):
        for _ in range(count):
            queue.put(data)
        if connection.recv() != count:
            raise RuntimeError("buffers were lost")

    rate = rate_of(batches, deliver)
    child.join()
    return rate * size / 1e9


def round_trip(given, context, make):
    there, back = make(), make()
    child, _ = start_pair(context, echo, there, back)
    number = 0

    def once():
        nonlocal number
        number += 1
        there.put([number, {"a": 1, "b": "text"}])
        if back.get()[0] != number:
            raise RuntimeError(f"message {number} came back as another")

    mean = mean_time(given, once)
    there.put(None)
    child.join()
    return mean * 1e3


def context_switches(pid):
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/status", encoding="utf-8") as status:
            total += sum(map(int, re.findall(r"voluntary_ctxt_switches:\s+(\d+)", status.read())))
    return total


def idle(given, context, make):
    queue, back = make(), context.Queue()
    child, connection = start_pair(context, wait, queue, back)
    back.get()
    pid = connection.recv()
    time.sleep(given["settle"] / 1e3)
    before = context_switches(pid)
    time.sleep(given["duration"] / 1e3)
    switches = context_switches(pid) - before
    queue.put(None)
    child.join()
    return switches


WORKS = {
    "one-way": one_way,
    "several": several,
    "bytes": small_bytes,
    "large": large,
    "round-trip": round_trip,
    "idle": idle,
}


def main():
    given = parameters()
    context = multiprocessing.get_context("spawn")
    report(WORKS[given["work"]](given, context, getattr(context, given["type"])))


if __name__ == "__main__":
    main()
