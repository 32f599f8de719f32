"""CPython: a pool's single task, and its map."""

import multiprocessing
import statistics
import time

from timing import mean_time, median_of_repeats, parameters, report


def square(x):
    return x * x


def measure_apply(pool, given):
    x = 0

    def task():
        nonlocal x
        x += 1
        if pool.apply(square, (x,)) != x * x:
            raise RuntimeError(f"the square of {x} came back as another")

    return mean_time(given, task) * 1e3


def measure_map(pool, given):
    numbers = list(range(given["items"]))

    def tasks():
        results = pool.map(square, numbers)
        if len(results) != len(numbers) or results[-1] != numbers[-1] ** 2:
            raise RuntimeError("other results came back")

    return median_of_repeats(given["repeats"], tasks)


def measure_flight(pool, given):
    seconds = 0
    for _ in range(2):
        begin = time.perf_counter()
        tasks = [pool.apply_async(square, (x,)) for x in range(given["count"])]
        results = [task.get() for task in tasks]
        seconds = time.perf_counter() - begin
        if results != [x * x for x in range(given["count"])]:
            raise RuntimeError("other results came back")
    return given["count"] / seconds


def measure_start(given):
    context = multiprocessing.get_context("forkserver")
    times = []
    for _ in range(given["repeats"] + 1):
        begin = time.perf_counter()
        with context.Pool(given["processes"]) as pool:
            pool.map(square, range(given["processes"]), 1)
            times.append(time.perf_counter() - begin)
    return statistics.median(times[1:]) * 1e3


def main():
    given = parameters()
    if given["variant"] == "start":
        report(measure_start(given))
        return
    measures = {"map": measure_map, "apply": measure_apply, "flight": measure_flight}
    context = multiprocessing.get_context("spawn")
    with context.Pool(given["processes"]) as pool:
        sample = measures[given["variant"]](pool, given)
    report(sample)


if __name__ == "__main__":
    main()
