import TraceRecords
import XIVEModel

@testable import XIVETrace

/// A device of 64 sources with pages of 4 KiB.
let smallMap = DeviceMap(pageShift: 12, sourceCount: 64, serverCount: 4)

/// Makes a fault of one page of the device, as a tracer would.
func fault(
  at time: UInt64, thread: UInt32 = 7, offset: UInt64, lasting duration: UInt64? = nil,
  _ outcome: KernelFault.Outcome = .minor
) -> KernelFault {
  var fault = KernelFault(
    time: time, threadID: thread, processID: 7, address: 0x7f00_0000_0000 + offset & 0xffff_ffff,
    instructionPointer: 0x5555_0000_1000)
  fault.outcome = outcome
  fault.duration = duration
  fault.locate(at: offset, smallMap)
  return fault
}

/// Makes the record of a fill.
func fill(
  _ sequence: UInt64, at time: UInt64, thread: UInt32 = 7, offset: UInt64, bytes: UInt64 = 4_096,
  _ cause: TraceCause = .firstTouch
) -> TraceRecord {
  var record = TraceRecord(.fill, sequence: sequence, time: time)
  record.threadID = thread
  record.offset = offset
  record.value = bytes
  record.cause = cause
  return record
}
