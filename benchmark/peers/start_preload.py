"""CPython: start a process that looks a row up in a large table, and join it."""

import multiprocessing
import os

from timing import median_of_repeats, parameters, report


def main():
    given = parameters()
    # Before 3.13 the fork server does not look for modules where the program does.
    os.environ["PYTHONPATH"] = os.path.dirname(os.path.abspath(__file__))
    context = multiprocessing.get_context(given["method"])
    context.set_forkserver_preload(["large_table"])
    import large_table

    def start_and_join():
        process = context.Process(target=large_table.look_up, args=(7919,))
        process.start()
        process.join()
        if process.exitcode != 0:
            raise RuntimeError(f"the child ended with {process.exitcode}")

    report(median_of_repeats(given["repeats"], start_and_join))


if __name__ == "__main__":
    main()
