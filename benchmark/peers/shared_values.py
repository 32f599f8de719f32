"""CPython: a number that two processes add to, and an array that is read."""

import multiprocessing

from timing import mean_time, parameters, report
from together import millions_per_second

context = multiprocessing.get_context("spawn")


def adding(value):
    def add():
        with value.get_lock():
            value.value += 1

    return add


def counter(given):
    value = context.Value("i")
    return millions_per_second(given, adding, value, value)


def reads(given):
    count = given["count"]
    array = context.RawArray("d", range(count))
    expected = count * (count - 1) / 2

    def read():
        total = 0.0
        for index in range(count):
            total += array[index]
        if total != expected:
            raise RuntimeError(f"{total} instead of {expected}")

    return mean_time(given, read) * 1e6 / count


def main():
    given = parameters()
    report({"counter": counter, "reads": reads}[given["variant"]](given))


if __name__ == "__main__":
    main()
