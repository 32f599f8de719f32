"""CPython: take and free a lock, alone and against another process."""

import multiprocessing

from timing import mean_time, parameters, report
from together import millions_per_second

TURNS = 1000

context = multiprocessing.get_context("spawn")


def alone(given):
    lock = context.RLock() if given["recursive"] else context.Lock()

    def take_and_free():
        for _ in range(TURNS):
            lock.acquire()
            lock.release()

    return mean_time(given, take_and_free) * 1e6 / TURNS


def incrementing(lock, number):
    def increment():
        lock.acquire()
        number.value += 1
        lock.release()

    return increment


def together(given):
    lock, number = context.Lock(), context.RawValue("i")
    return millions_per_second(given, incrementing, number, lock, number)


def main():
    given = parameters()
    report({"alone": alone, "together": together}[given["variant"]](given))


if __name__ == "__main__":
    main()
