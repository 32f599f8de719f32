"""CPython: the memory that a child which waits for a message has for itself, in MiB."""

import multiprocessing
import re
import time

from timing import parameters, report


def idle(connection):
    connection.send("ready")
    connection.recv()


def private_memory(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as file:
        kibibytes = re.findall(r"^Private_(?:Clean|Dirty):\s+(\d+) kB$", file.read(), re.MULTILINE)
    if len(kibibytes) != 2:
        raise RuntimeError("the kernel does not say what memory is private")
    return sum(map(int, kibibytes)) / 1024


def main():
    given = parameters()
    context = multiprocessing.get_context(given["method"])
    mine, theirs = context.Pipe()
    process = context.Process(target=idle, args=(theirs,))
    process.start()
    theirs.close()
    mine.recv()
    time.sleep(given["settle"] / 1e3)
    memory = private_memory(process.pid)
    mine.send("end")
    process.join()
    if process.exitcode != 0:
        raise RuntimeError(f"the child ended with {process.exitcode}")
    report(memory)


if __name__ == "__main__":
    main()
