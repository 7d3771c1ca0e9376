internal import PagedDevice
internal import XIVEModel

extension XIVEDevice {
  /// Whether events are delivered.
  var isRunning: Bool { holding.isRunning }

  /// Stops the machine, or lets it run.
  ///
  /// While it is stopped sources take triggers as ever, but what leaves them stays at their doors: nothing reaches a
  /// queue or a vCPU, so that all tables can be read at one moment. What has stayed there is delivered, once, when the
  /// machine runs again.
  /// Source: QEMU `hw/intc/spapr_xive_kvm.c`, `kvmppc_xive_change_state_handler`, which has every source's PQ count
  /// triggers meanwhile. Differs: there an event for a source that was pending when the machine stopped is lost.
  func setRunning(_ isRunning: Bool) {
    holding.isRunning = isRunning
    // Whoever had not seen that has left when this returns: what was under way is in its queue.
    gate.drain()
    guard isRunning else { return }
    let count = Int(configuration.sourceCount)
    for first in stride(from: 0, to: count, by: SourceTable.blockSize) {
      gate.pass(stripe: first / SourceTable.blockSize) {
        for number in first..<min(first + SourceTable.blockSize, count) {
          holding.release(LISN(rawValue: UInt32(number)))
        }
      }
    }
  }
}
