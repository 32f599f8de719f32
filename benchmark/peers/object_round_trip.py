"""CPython: a small object over a Pipe to a child that sends it back."""

import multiprocessing

from timing import mean_time, parameters, report


def echo_objects(connection):
    while True:
        message = connection.recv()
        if message is None:
            return
        connection.send(message)


def main():
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe()
    child = context.Process(target=echo_objects, args=(theirs,))
    child.start()
    theirs.close()
    number = 0

    def round_trip():
        nonlocal number
        number += 1
        mine.send([number, {"a": 1, "b": "text"}])
        if mine.recv()[0] != number:
            raise RuntimeError(f"message {number} came back as another")

    mean = mean_time(parameters(), round_trip)
    mine.send(None)
    child.join()
    report(mean * 1e3)


if __name__ == "__main__":
    main()
