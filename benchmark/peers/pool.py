"""CPython: a pool's single task, and its map."""

import multiprocessing

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


def main():
    given = parameters()
    context = multiprocessing.get_context("spawn")
    with context.Pool(given["processes"]) as pool:
        measure = measure_map if given["variant"] == "map" else measure_apply
        sample = measure(pool, given)
    report(sample)


if __name__ == "__main__":
    main()
