"""CPython: start a process that runs an empty function, and join it."""

import multiprocessing

from timing import median_of_repeats, parameters, report


def empty():
    pass


def main():
    given = parameters()
    context = multiprocessing.get_context(given["method"])

    def start_and_join():
        process = context.Process(target=empty)
        process.start()
        process.join()
        if process.exitcode != 0:
            raise RuntimeError(f"the child ended with {process.exitcode}")

    report(median_of_repeats(given["repeats"], start_and_join))


if __name__ == "__main__":
    main()
