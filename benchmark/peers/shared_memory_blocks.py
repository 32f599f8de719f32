"""CPython: make and remove blocks of shared memory, and read items of a list in one."""

from multiprocessing.shared_memory import ShareableList, SharedMemory

from timing import mean_time, parameters, report

LENGTH = 100


def create(given):
    size = given["size"]
    content = b"\x01" * size if given["fill"] else None

    def create_and_unlink():
        block = SharedMemory(create=True, size=size)
        if content is not None:
            block.buf[:] = content
        block.close()
        block.unlink()

    return mean_time(given, create_and_unlink) * 1e3


def item(given):
    items = ShareableList(range(LENGTH))

    def read():
        for index in range(LENGTH):
            items[index]

    time = mean_time(given, read) * 1e3 / LENGTH
    items.shm.close()
    items.shm.unlink()
    return time


def main():
    given = parameters()
    report({"create": create, "item": item}[given["variant"]](given))


if __name__ == "__main__":
    main()
