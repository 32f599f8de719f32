"""A module that takes a while to import, and much memory: the same rows as start-preload/table.ts."""

ROWS = 400_000
TABLE = [{"id": i, "name": f"row number {i}", "score": i / 7} for i in range(ROWS)]


def look_up(i):
    if TABLE[i]["name"] != f"row number {i}":
        raise RuntimeError(f"the table has no row {i}")
