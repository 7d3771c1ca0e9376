internal import CXIVE
internal import XIVEModel

extension SourceRecord {
  /// The part of the flags that says what it is mapped to: must be equal where it is restored.
  var mapping: UInt64 { flags & Self.mappingFlags }

  private static let mappingFlags =
    XIVE_STATE_PASSTHROUGH | XIVE_STATE_HWIRQ_MASK | XIVE_STATE_PHB_MASK

  private static let knownFlags =
    mappingFlags | XIVE_STATE_PQ | XIVE_STATE_LSI | XIVE_STATE_ASSERTED | XIVE_STATE_VALID
    | XIVE_STATE_LATCHED | XIVE_STATE_IRQFD

  /// Says what about it cannot be; nil for a record that a device with room for so many servers can have.
  func flaw(serverCount: UInt32) -> String? {
    if flags == 0, configuration == 0 { return nil }
    if flags & ~Self.knownFlags != 0 { return "has flags 0x\(String(flags, radix: 16))" }
    if !isCreated { return "was never created, yet has state" }
    if mapping != 0, flags & XIVE_STATE_PASSTHROUGH == 0 {
      return "is not mapped to hardware, yet has its number"
    }
    if !isLSI, isAsserted { return "has a line, yet is no LSI" }
    if isMasked {
      return configuration == UInt64(KVM_XIVE_SOURCE_MASKED_MASK)
        ? nil : "is masked, yet has a route"
    }
    if server.rawValue >= serverCount {
      return "is routed to server \(server.rawValue) of \(serverCount)"
    }
    return priority.rawValue < 7 ? nil : "is routed to priority 7"
  }

  /// What it is mapped to, in a message.
  var mappingWords: String {
    passthrough.map { "interrupt \($0.irq.rawValue) of \($0.phb.words)" } ?? "its own pages"
  }
}
