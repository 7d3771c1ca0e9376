"""Random sequences of ESB operations on a few neighbouring sources."""

from typing import NamedTuple, Optional

from geometry import SOURCE_COUNT

SEQUENCE_LENGTH = 250
NEIGHBOURS = 4
PATTERN = 0x1000  # only the low 12 address bits decode
GET = 0x800
SET_PQ_01 = 0xD00


class Window(NamedTuple):
    page: str
    op: str
    first: int
    last: int
    weight: int


# Stores at 800-bff of the management page are left out: they are not architected.
# Weights favour triggers and EOIs: among as many SET_PQ, PQ 11 would be rare.
MANAGEMENT_WINDOWS = [
    Window("management", "load", 0x000, 0x3FF, 2),
    Window("management", "load", 0x400, 0x7FF, 2),
    Window("management", "load", 0x800, 0xBFF, 1),
    Window("management", "load", 0xC00, 0xCFF, 1),
    Window("management", "load", 0xD00, 0xDFF, 1),
    Window("management", "load", 0xE00, 0xEFF, 1),
    Window("management", "load", 0xF00, 0xFFF, 1),
    Window("management", "store", 0x000, 0x3FF, 4),
    Window("management", "store", 0x400, 0x7FF, 3),
    Window("management", "store", 0xC00, 0xCFF, 1),
    Window("management", "store", 0xD00, 0xDFF, 1),
    Window("management", "store", 0xE00, 0xEFF, 1),
    Window("management", "store", 0xF00, 0xFFF, 1),
]
TRIGGER_WINDOWS = [
    Window("trigger", "store", 0x000, 0xFFF, 4),
    Window("trigger", "load", 0x000, 0xFFF, 1),
]


class Access(NamedTuple):
    """One 8-byte load or store; `value` is what is stored."""

    source: int
    page: str
    op: str
    offset: int
    value: Optional[int] = None

    def __str__(self):
        text = f"{self.op:5} {self.source:#06x} {self.page}+{self.offset:#05x}"
        return text if self.value is None else f"{text} <- {self.value:#018x}"


class Step(NamedTuple):
    """One operation and the sources whose PQ is compared after it."""

    access: Access
    watched: list

    @property
    def accesses(self):
        return [self.access] + [Access(s, "management", "load", GET) for s in self.watched]


class Sequence(NamedTuple):
    """Steps on sources that `resets` have put into PQ 01."""

    resets: list
    steps: list

    @property
    def accesses(self):
        return self.resets + [access for step in self.steps for access in step.accesses]


def sequences(random, geometry, steps):
    """Cuts `steps` into sequences: at both ends of the number space, then anywhere."""
    ends = [0, SOURCE_COUNT - NEIGHBOURS]
    result = []
    while steps > 0:
        base = ends.pop(0) if ends else random.randrange(SOURCE_COUNT - NEIGHBOURS + 1)
        length = min(steps, SEQUENCE_LENGTH)
        result.append(sequence(random, geometry, base, length))
        steps -= length
    return result


def sequence(random, geometry, base, length):
    used = range(max(0, base - 1), min(SOURCE_COUNT, base + NEIGHBOURS + 1))
    resets = [Access(source, "management", "load", SET_PQ_01) for source in used]
    steps = [step(random, geometry, base + random.randrange(NEIGHBOURS)) for _ in range(length)]
    return Sequence(resets, steps)


def step(random, geometry, source):
    # A source at an end has its neighbours on one side.
    first = min(max(source - 1, 0), SOURCE_COUNT - 3)
    return Step(access(random, geometry, source), list(range(first, first + 3)))


def access(random, geometry, source):
    windows = MANAGEMENT_WINDOWS + (TRIGGER_WINDOWS if geometry.has_trigger_page else [])
    window = random.choices(windows, [window.weight for window in windows])[0]
    slots = range(window.first, window.last, 8)
    # Decoding goes wrong at the edges of a window first.
    offset = random.choice([slots[0], slots[-1], random.choice(slots)])
    offset += PATTERN * random.randrange(geometry.page_size // PATTERN)
    value = random.getrandbits(64) if window.op == "store" else None
    return Access(source, window.page, window.op, offset, value)
