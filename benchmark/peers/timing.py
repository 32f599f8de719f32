"""How the scripts measure: the same way as benchmark/timing.ts."""

import json
import statistics
import sys
import time


def parameters():
    """What the benchmark handed over: the amounts and the variant."""
    return json.loads(sys.argv[1])


def report(sample):
    """Print the one sample of this run, where the benchmark looks for it."""
    print(json.dumps({"sample": sample}), flush=True)


def _accumulate(milliseconds, operation):
    # Only the operation is timed, not the loop around it, as tinybench does for the peers of Node.
    now = time.perf_counter_ns
    total = count = 0
    end = now() + milliseconds * 1_000_000
    while True:
        begin = now()
        operation()
        after = now()
        total += after - begin
        count += 1
        if after >= end:
            return total / count / 1e6


def mean_time(amounts, operation):
    """The mean time of an operation, in milliseconds."""
    _accumulate(amounts["warmup"], operation)
    return _accumulate(amounts["duration"], operation)


def median_of_repeats(repeats, operation):
    """The median time of a few repetitions after one that is not counted, in milliseconds."""
    operation()
    times = []
    for _ in range(repeats):
        begin = time.perf_counter()
        operation()
        times.append((time.perf_counter() - begin) * 1e3)
    return statistics.median(times)
