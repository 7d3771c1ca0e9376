"""Where QEMU 7.2 does not do what hardware, or a later QEMU, does, and the device does."""

from collections import Counter

PULL_BYTE_ORDER = "pull-byte-order"
PULL_POOL_VALID = "pull-pool-valid"
CPPR_LOAD = "cppr-load"
CPPR_LOWERED = "cppr-lowered"
END_EOI = "end-eoi"
USER_CONTEXT = "user-context"
POOL_PRESENTED = "pool-presented"
PHYS_PIPR = "phys-pipr"

DESCRIPTIONS = {
    PULL_BYTE_ORDER: "a pull gives word 2 in the byte order of the machine that QEMU runs on",
    PULL_POOL_VALID: "a pull of the pool context gives word 2 without its valid bit",
    CPPR_LOAD: "a 1-byte load of the OS ring's CPPR is refused",
    CPPR_LOWERED: "NSR stays set when CPPR falls to the pending priority or below",
    END_EOI: "an EOI on an END's page that finds a queued event does not pass it on",
    USER_CONTEXT: "the user context cannot be pushed, pulled or acknowledged",
    POOL_PRESENTED: "what is pending in the pool ring is not presented; the program ends there",
    PHYS_PIPR: "PIPR of the physical ring does not follow its IPB at once; the program ends there",
}


class Quirks:
    """Which corrections are on, and how often each was needed."""

    def __init__(self, without=()):
        self.active = set(DESCRIPTIONS) - set(without)
        self.counts = Counter({name: 0 for name in DESCRIPTIONS})

    def apply(self, name):
        """Counts a case of it; true when it is to be corrected."""
        self.counts[name] += 1
        return name in self.active

    def __str__(self):
        return ", ".join(f"{name} {count}" for name, count in sorted(self.counts.items()))
