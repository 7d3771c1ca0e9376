"""The shapes that an interrupt source's ESB pages can have."""

from typing import NamedTuple

# What both sides create: the pseries machine's whole interrupt number space.
SOURCE_COUNT = 0x2000


class Geometry(NamedTuple):
    """One ESB shape, named as QEMU does: by the binary logarithm of a source's share."""

    shift: int
    page_size: int
    pages: int

    @property
    def has_trigger_page(self):
        return self.pages == 2


GEOMETRIES = {
    12: Geometry(12, 4 << 10, 1),
    13: Geometry(13, 4 << 10, 2),
    16: Geometry(16, 64 << 10, 1),
    17: Geometry(17, 64 << 10, 2),
}


class Combination(NamedTuple):
    """One configuration that is compared."""

    geometry: Geometry
    store_eoi: bool

    def __str__(self):
        state = "on" if self.store_eoi else "off"
        return f"esb-shift {self.geometry.shift} store-eoi {state}"


ALL_COMBINATIONS = [
    Combination(geometry, store_eoi)
    for geometry in GEOMETRIES.values()
    for store_eoi in (False, True)
]
