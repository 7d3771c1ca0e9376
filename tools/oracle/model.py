"""The PQ state machine as a table, to prove that the comparison can tell right from wrong."""

from geometry import SOURCE_COUNT

ALL_ONES = (1 << 64) - 1

# For PQ 00, 01, 10 and 11 before: the loaded value and PQ after.
TABLE = {
    "trigger": ((None, 0b10), (None, 0b01), (None, 0b11), (None, 0b11)),
    "LoadEOI": ((0, 0b00), (0, 0b01), (0, 0b00), (1, 0b10)),
    "StoreEOI": ((None, 0b00), (None, 0b01), (None, 0b00), (None, 0b10)),
    "GET": ((0, 0b00), (1, 0b01), (2, 0b10), (3, 0b11)),
    "SET_PQ_00": ((0, 0b00), (1, 0b00), (2, 0b00), (3, 0b00)),
    "SET_PQ_01": ((0, 0b01), (1, 0b01), (2, 0b01), (3, 0b01)),
    "SET_PQ_10": ((0, 0b10), (1, 0b10), (2, 0b10), (3, 0b10)),
    "SET_PQ_11": ((0, 0b11), (1, 0b11), (2, 0b11), (3, 0b11)),
    "PQ_00": ((None, 0b00), (None, 0b00), (None, 0b00), (None, 0b00)),
    "PQ_01": ((None, 0b01), (None, 0b01), (None, 0b01), (None, 0b01)),
    "PQ_10": ((None, 0b10), (None, 0b10), (None, 0b10), (None, 0b10)),
    "PQ_11": ((None, 0b11), (None, 0b11), (None, 0b11), (None, 0b11)),
    "ignored load": ((ALL_ONES, 0b00), (ALL_ONES, 0b01), (ALL_ONES, 0b10), (ALL_ONES, 0b11)),
    "ignored store": ((None, 0b00), (None, 0b01), (None, 0b10), (None, 0b11)),
}

# What each window does: the last offset of it, and the operation.
LAYOUT = {
    ("management", "load"): (
        (0x7FF, "LoadEOI"),
        (0xBFF, "GET"),
        (0xCFF, "SET_PQ_00"),
        (0xDFF, "SET_PQ_01"),
        (0xEFF, "SET_PQ_10"),
        (0xFFF, "SET_PQ_11"),
    ),
    ("management", "store"): (
        (0x3FF, "trigger"),
        (0x7FF, "StoreEOI"),
        (0xBFF, "ignored store"),
        (0xCFF, "PQ_00"),
        (0xDFF, "PQ_01"),
        (0xEFF, "PQ_10"),
        (0xFFF, "PQ_11"),
    ),
    ("trigger", "load"): ((0xFFF, "ignored load"),),
    ("trigger", "store"): ((0xFFF, "trigger"),),
}


class Model:
    """All sources of one combination; the parameters are where a wrong one differs."""

    def __init__(self, combination, table=TABLE, offset_mask=0xFFF, trigger_reach=0):
        self.store_eoi = combination.store_eoi
        self.table = table
        self.offset_mask = offset_mask
        self.trigger_reach = trigger_reach
        self.pq = [0b01] * SOURCE_COUNT

    def perform(self, accesses):
        return [self._access(access) for access in accesses]

    def operation(self, access):
        """The row of the table that serves `access`."""
        offset = access.offset & self.offset_mask
        rows = LAYOUT[access.page, access.op]
        name = next((name for last, name in rows if offset <= last), f"ignored {access.op}")
        return "ignored store" if name == "StoreEOI" and not self.store_eoi else name

    def _access(self, access):
        name = self.operation(access)
        value = self._apply(name, access.source)
        if name == "trigger" and self.trigger_reach:
            self._apply(name, (access.source + self.trigger_reach) % SOURCE_COUNT)
        return value

    def _apply(self, name, source):
        value, self.pq[source] = self.table[name][self.pq[source]]
        return value


def wrong_models(combination, operations):
    """Yields (what is wrong, model): one for every cell of the rows named in `operations`."""
    for name in operations:
        for before in range(4):
            value, after = TABLE[name][before]
            yield _with_cell(combination, name, before, (value, after ^ 0b10))
            if value is not None:
                yield _with_cell(combination, name, before, (value ^ 1, after))
    for reach in (1, -1):
        yield f"a trigger reaches source {reach:+}", Model(combination, trigger_reach=reach)
    if combination.geometry.page_size > 0x1000:
        yield "offsets above fff are ignored", Model(combination, offset_mask=0xFFFF)


def _with_cell(combination, name, before, cell):
    row = list(TABLE[name])
    row[before] = cell
    value = "" if cell[0] is None else f", value {cell[0]:#x}"
    wrong = f"{name} of {before:02b} gives {cell[1]:02b}{value}"
    return wrong, Model(combination, {**TABLE, name: row})
