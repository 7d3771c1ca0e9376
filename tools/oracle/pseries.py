"""QEMU's pseries machine: where its sources' ESB pages are."""

from qtest import QTest, readq, writeq

MACHINE = ["-machine", "pseries,ic-mode=xive", "-nodefaults", "-m", "512M"]
VC_BASE = 0x0006_0100_0000_0000
STORE_EOI_FLAG = 2


class PseriesESB(QTest):
    """The ESB pages of all LISNs of a fresh pseries machine."""

    def __init__(self, combination):
        self.geometry = combination.geometry
        source = f"xive-source.shift={self.geometry.shift}"
        options = ["-global", source]
        if combination.store_eoi:
            options += ["-global", f"xive-source.flags={STORE_EOI_FLAG}"]
        super().__init__([*MACHINE, *options])

    def perform(self, accesses):
        """Returns the loaded value of each access, None for a store."""
        answers = super().perform([self._command(access) for access in accesses])
        return [int(answer, 16) if answer else None for answer in answers]

    def _command(self, access):
        address = VC_BASE + (access.source << self.geometry.shift) + access.offset
        if access.page == "management" and self.geometry.has_trigger_page:
            address += self.geometry.page_size
        return readq(address) if access.op == "load" else writeq(address, access.value)
