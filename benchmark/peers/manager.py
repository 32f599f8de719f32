"""CPython: calls of a managed dict."""

import multiprocessing
import time

from timing import mean_time, parameters, report

context = multiprocessing.get_context("spawn")


def get(given, manager):
    proxy = manager.dict(key=7)

    def call():
        if proxy.get("key") != 7:
            raise RuntimeError("another value came")

    return mean_time(given, call) * 1e3


def rate(given, manager):
    proxy = manager.dict(key=7)
    for count in (given["warmup"], given["count"]):
        begin = time.perf_counter()
        for _ in range(count):
            proxy.get("key")
        took = time.perf_counter() - begin
    return given["count"] / took


def get_often(connection, proxy, sizes):
    proxy.get("key")
    connection.send("here")
    for size in sizes:
        connection.recv()
        for _ in range(size):
            proxy.get("key")
        connection.send("done")


def clients(given, manager):
    proxy = manager.dict(key=7)
    sizes = [given[name] // given["clients"] for name in ("warmup", "count")]
    ends = []
    for _ in range(given["clients"]):
        mine, theirs = context.Pipe()
        child = context.Process(target=get_often, args=(theirs, proxy, sizes))
        child.start()
        theirs.close()
        ends.append((mine, child))
    for mine, _ in ends:
        mine.recv()
    for _ in sizes:
        begin = time.perf_counter()
        for mine, _ in ends:
            mine.send("go")
        for mine, _ in ends:
            mine.recv()
        took = time.perf_counter() - begin
    for _, child in ends:
        child.join()
    return given["count"] / took


def main():
    given = parameters()
    with context.Manager() as manager:
        sample = {"get": get, "rate": rate, "clients": clients}[given["work"]](given, manager)
    report(sample)


if __name__ == "__main__":
    main()
