"""CPython: a few bytes over a Pipe to a child that sends them back."""

import multiprocessing

from timing import mean_time, parameters, report


def echo_bytes(connection):
    while True:
        data = connection.recv_bytes()
        if not data:
            return
        connection.send_bytes(data)


def main():
    given = parameters()
    context = multiprocessing.get_context("spawn")
    mine, theirs = context.Pipe()
    child = context.Process(target=echo_bytes, args=(theirs,))
    child.start()
    theirs.close()
    data = b"\x01" * given["size"]

    def round_trip():
        mine.send_bytes(data)
        if len(mine.recv_bytes()) != len(data):
            raise RuntimeError("other bytes came back")

    mean = mean_time(given, round_trip)
    mine.send_bytes(b"")
    child.join()
    report(mean * 1e3)


if __name__ == "__main__":
    main()
