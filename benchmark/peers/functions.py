"""CPython: pickling a function of a module, as multiprocessing does; closures it refuses."""

import time
from multiprocessing.reduction import ForkingPickler

from timing import mean_time, parameters, report


def exported(x):
    return (x + 1) * 3


def main():
    given = parameters()
    if given["variant"] == "first":
        begin = time.perf_counter()
        ForkingPickler.dumps(exported)
        report((time.perf_counter() - begin) * 1e3)
    else:
        report(mean_time(given, lambda: ForkingPickler.dumps(exported)) * 1e3)


if __name__ == "__main__":
    main()
