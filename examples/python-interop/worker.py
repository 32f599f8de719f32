"""A worker in Python: takes ranges from a Node program until there are no more, and counts their primes."""

import os
import sys
from multiprocessing.connection import Client


def is_prime(n):
    return n > 1 and all(n % d for d in range(2, int(n**0.5) + 1))


def main():
    # The key comes by a way that other users of the machine do not see: not on the command line.
    key = bytes.fromhex(os.environ["JOB_KEY"])
    with Client(sys.argv[1], authkey=key) as connection:
        connection.send({"worker": "Python", "version": tuple(sys.version_info[:2])})
        while (task := connection.recv()) is not None:
            try:
                start, stop = task["range"]
                primes = [n for n in range(start, stop) if is_prime(n)]
                connection.send({"range": (start, stop), "primes": primes})
            except Exception as error:
                # An exception arrives as an error.
                connection.send(error)


if __name__ == "__main__":
    main()
