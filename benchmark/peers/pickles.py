"""CPython: reading and writing pickles, in C."""

import pickle

from timing import median_of_repeats, parameters, report


def contents(given):
    if given["contents"] == "ints":
        return list(range(given["count"]))
    return [
        {"id": i, "name": f"name {i}", "value": i / 2, "ok": i % 2 == 0}
        for i in range(given["count"])
    ]


def main():
    given = parameters()
    value = contents(given)
    data = pickle.dumps(value, 4)

    def read():
        if len(pickle.loads(data)) != given["count"]:
            raise RuntimeError("items were lost")

    def write():
        if len(pickle.dumps(value, 4)) != len(data):
            raise RuntimeError("items were lost")

    report(median_of_repeats(given["repeats"], {"read": read, "write": write}[given["variant"]]))


if __name__ == "__main__":
    main()
