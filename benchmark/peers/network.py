"""CPython: bytes over TCP or a Unix socket to a child that sends them back, or acknowledges them."""

import multiprocessing
import time
from multiprocessing.connection import Client, Listener

from timing import mean_time, parameters, report

FILLING = 7


def echo(address):
    with Client(address) as connection:
        while data := connection.recv_bytes():
            connection.send_bytes(data)


def receive(address, batches, size):
    with Client(address) as connection:
        for count in batches:
            for _ in range(count):
                data = connection.recv_bytes()
                if len(data) != size or data[0] != FILLING or data[-1] != FILLING:
                    raise RuntimeError("other bytes arrived")
            connection.send(count)


def round_trip(given, connection):
    data = b"\x01" * given["size"]

    def there_and_back():
        connection.send_bytes(data)
        if len(connection.recv_bytes()) != len(data):
            raise RuntimeError("other bytes came back")

    mean = mean_time(given, there_and_back)
    connection.send_bytes(b"")
    return mean * 1e3


def one_way(given, connection):
    data = bytes([FILLING]) * given["size"]
    for count in (given["warmup"], given["count"]):
        begin = time.perf_counter()
        for _ in range(count):
            connection.send_bytes(data)
        if connection.recv() != count:
            raise RuntimeError("buffers were lost")
        elapsed = time.perf_counter() - begin
    return given["count"] * given["size"] / elapsed / 1e9


def main():
    given = parameters()
    address = ("127.0.0.1", 0) if given["family"] == "AF_INET" else None
    with Listener(address, given["family"]) as listener:
        if given["variant"] == "round_trip":
            measure, target, args = round_trip, echo, ()
        else:
            measure, target = one_way, receive
            args = ((given["warmup"], given["count"]), given["size"])
        context = multiprocessing.get_context("spawn")
        child = context.Process(target=target, args=(listener.address, *args))
        child.start()
        with listener.accept() as connection:
            sample = measure(given, connection)
            child.join()
    report(sample)


if __name__ == "__main__":
    main()
