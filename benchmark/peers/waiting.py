"""CPython: wait over idle connections and one that has a message."""

from multiprocessing import Pipe
from multiprocessing.connection import wait

from timing import mean_time, parameters, report


def main():
    given = parameters()
    pairs = [Pipe() for _ in range(given["idle"])]
    mine, other = Pipe()
    connections = [pair[0] for pair in pairs] + [mine]
    message = bytes(8)

    def ready():
        other.send_bytes(message)
        if wait(connections) != [mine]:
            raise RuntimeError("another one is ready")
        mine.recv_bytes()

    report(mean_time(given, ready) * 1e3)


if __name__ == "__main__":
    main()
