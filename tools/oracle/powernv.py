"""QEMU's powernv9 machine: a whole XIVE, router and presenter, by MMIO and guest RAM alone."""

import mmap
import os

from qtest import QTest, readq, writeq

# One core a thread: the model refuses more threads a core without KVM. Cores are 4 PIRs apart, and
# a server is a PIR here, so that hardware CAMs are the same on both sides.
SERVERS = (0, 4, 8)

XSCOM_XIVE = 0x000603FC_28098000
IC_BASE = 0x00060302_03100000
TM_BASE = 0x00060302_03180000
VC_BASE = 0x00060100_00000000
END_ESB = VC_BASE + 0x40_0000_0000
# HW triggers; the direct TIMA pages would need a running CPU and kill QEMU.
NOTIFY_PORT = IC_BASE + 0x10000
INDIRECT_TIMA = IC_BASE + 0x40000
PAGE_SHIFT = 16
SOURCE_SHIFT = PAGE_SHIFT + 1

SOURCE_LIMIT = 0x2000
# QEMU makes half of a direct ENDT's ESB pages accessible.
END_LIMIT = 0x800
NVT_LIMIT = 0x800
EAT, SBE, ENDT, NVTT = 0x0100_0000, 0x0110_0000, 0x0120_0000, 0x0130_0000
QUEUES = 0x0200_0000
RAM_SIZE = 1 << 30

EAS_SIZE, END_SIZE, NVT_SIZE = 8, 32, 64
PAGE_4K = 12

# Registers, offsets in the IC page. QEMU hw/intc/pnv_xive_regs.h.
CQ_IC_BAR, CQ_TM1_BAR = 0x080, 0x090
CQ_VC_BARM, CQ_VC_BAR = 0x0C8, 0x0C0
CQ_TAR, CQ_TDR = 0x0F0, 0x0F8
CQ_PBI_CTL = 0x100
PC_TCTXT_INDIR0 = 0x420
PC_THREAD_EN_REG0 = 0x448
VC_GLOBAL_CONFIG = 0x800
VC_VSD_TABLE_ADDR, VC_VSD_TABLE_DATA = 0x808, 0x810
VC_SBC_CONFIG = 0xA20

VALID_64K = 3 << 62
SET_COUNT = 64
EXCLUSIVE = 2 << 62
PQ_CHECKED = 1 << 62


class Powernv(QTest):
    """A configured machine; `ram` is its memory, mapped."""

    def __init__(self):
        # Memory that both map: tables and queues are read and written without the protocol.
        self.descriptor = os.memfd_create("powernv", os.MFD_CLOEXEC)
        os.truncate(self.descriptor, RAM_SIZE)
        self.ram = mmap.mmap(self.descriptor, RAM_SIZE)
        path = f"/proc/{os.getpid()}/fd/{self.descriptor}"
        backend = f"memory-backend-file,id=ram,size={RAM_SIZE},mem-path={path},share=on"
        super().__init__([
            "-machine", "powernv9,memory-backend=ram", "-object", backend,
            "-m", f"{RAM_SIZE >> 20}M", "-nodefaults",
            "-smp", f"{len(SERVERS)},cores={len(SERVERS)},threads=1",
        ])

    def __enter__(self):
        super().__enter__()
        try:
            self.perform([_register(*setting) for setting in _settings()])
        except BaseException:
            self.close()
            raise
        return self

    def close(self):
        super().close()
        self.ram.close()
        os.close(self.descriptor)


def select(server):
    """The command behind which indirect TIMA accesses are those of `server`."""
    return _register(PC_TCTXT_INDIR0, 1 << 63 | server << 48)


def tima(view, offset):
    return INDIRECT_TIMA + (view << PAGE_SHIFT) + offset


def esb(lisn, half, offset):
    return VC_BASE + (lisn << SOURCE_SHIFT) + (half << PAGE_SHIFT) + offset


def end_esb(end, half, offset):
    return END_ESB + (end << SOURCE_SHIFT) + (half << PAGE_SHIFT) + offset


def notify(lisn):
    """The command that routes an event of `lisn`, whatever its PQ."""
    return writeq(NOTIFY_PORT, PQ_CHECKED | lisn)


def get_pq(lisn):
    return readq(esb(lisn, 1, 0x800))


def _register(offset, value):
    return writeq(XSCOM_XIVE + offset, value)


def _settings():
    """What firmware would store, in order."""
    yield CQ_IC_BAR, VALID_64K | IC_BASE
    yield CQ_TM1_BAR, VALID_64K | TM_BASE
    yield CQ_VC_BARM, 0xFFFFFF80_00000000  # 512 GiB
    yield CQ_VC_BAR, 1 << 63 | VC_BASE
    yield CQ_PBI_CTL, 0x06000000_00000000  # 64 KiB pages
    yield CQ_TAR, 1 << 63 | 1 << 48  # the table of sets, from 0, counting up
    for index in range(SET_COUNT):
        kind = 1 if index < SET_COUNT // 2 else 2  # sources, ENDs
        yield CQ_TDR, kind << 62 | index
    yield VC_GLOBAL_CONFIG, 0x80000000
    # The source's own PQ is in the model: the SBE table's size alone matters, 4 to a byte.
    sizes = (SOURCE_LIMIT * EAS_SIZE, 1 << PAGE_4K, 2 * END_LIMIT * END_SIZE, NVT_LIMIT * NVT_SIZE)
    for table, (address, size) in enumerate(zip((EAT, SBE, ENDT, NVTT), sizes)):
        yield VC_VSD_TABLE_ADDR, table << 48
        yield VC_VSD_TABLE_DATA, EXCLUSIVE | address | size.bit_length() - 1 - PAGE_4K
    yield PC_THREAD_EN_REG0, (1 << 64) - 1
