/// What a pseries machine uses a source number for; a name for people, without effect.
///
/// Source: QEMU `include/hw/ppc/spapr_irq.h`, `SPAPR_XIRQ_BASE`, `SPAPR_IRQ_EPOW`, `SPAPR_IRQ_MSI`.
public enum NumberSpace: String, Hashable, Sendable, CaseIterable {
  /// Interrupts between CPUs.
  case ipi = "IPI"
  /// The environmental and power warning.
  case epow = "EPOW"
  /// Hot-plug events.
  case hotplug = "hot-plug"
  /// Virtual I/O devices.
  case vio = "VIO"
  /// Level interrupts of PCI host bridges.
  case phbLSI = "PHB LSI"
  /// Messages of PCI devices.
  case msi = "MSI"
  /// A number that pseries does not use.
  case other = "-"

  /// The use of a number.
  /// - Parameter lisn: the source.
  public init(_ lisn: LISN) {
    switch lisn.rawValue {
    case 0x0000...0x0fff: self = .ipi
    case 0x1000: self = .epow
    case 0x1001: self = .hotplug
    case 0x1100...0x11ff: self = .vio
    case 0x1200...0x127f: self = .phbLSI
    case 0x1300...0x1fff: self = .msi
    default: self = .other
    }
  }
}
