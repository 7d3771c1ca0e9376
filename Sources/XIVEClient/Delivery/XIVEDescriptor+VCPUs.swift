internal import CXIVE
internal import DeviceClient
internal import SystemPackage
public import XIVEModel

/// vCPUs as a VMM's scheduler sees them: through region 3, on any descriptor.
extension XIVEDescriptor {
  /// Connects this descriptor to a server.
  func connect(_ server: Server) throws(XIVEClientError) {
    var request = EnableCapability.bytes(device: device.rawValue, server: server)
    do { try device.control(EnableCapability.number, &request) } catch {
      switch error.errno {
      case .invalidArgument: throw .delivery(.noSuchServer(server, count: geometry.serverCount))
      case .fileExists: throw .delivery(.serverTaken(server))
      case .notPermitted: throw .delivery(.connect(server, error.errno))
      default: throw .device(error)
      }
    }
  }

  /// Pushes a vCPU's OS context: it takes interrupts at once, and what came meanwhile is pending.
  ///
  /// A server that is not connected has no TIMA: nothing happens, and the device counts a guest error.
  /// Source: QEMU `hw/intc/xive.c`, `xive_tm_push_os_ctx`.
  /// - Parameter server: the vCPU.
  /// - Throws: ``DeliveryError/noSuchServer(_:count:)``.
  public func pushContext(of server: Server) throws(XIVEClientError) {
    let word2 = RingState.valid | NVTIndex(server).rawValue
    try store(UInt64(word2), at: tima(server, .hv) + 0x18, byteCount: 4)
  }

  /// Pulls a vCPU's OS context: until it is pushed again, events go to its NVT's backlog.
  ///
  /// Source: QEMU `hw/intc/xive.c`, `xive_tm_pull_os_ctx`.
  /// - Parameter server: the vCPU.
  /// - Returns: whether it was pushed.
  /// - Throws: ``DeliveryError/noSuchServer(_:count:)``, ``DeliveryError/notConnected(_:)``.
  @discardableResult
  public func pullContext(of server: Server) throws(XIVEClientError) -> Bool {
    let word2 = UInt32(
      truncatingIfNeeded: try load(at: tima(server, .hv) + 0x818, byteCount: 4))
    guard word2 != .max else { throw .delivery(.notConnected(server)) }
    return word2 & RingState.valid != 0
  }

  /// Looks at a vCPU without an effect.
  /// - Parameter server: the vCPU.
  /// - Returns: its ring and its context, or nil when it is not connected, which the device counts as a guest error.
  /// - Throws: ``DeliveryError/noSuchServer(_:count:)``.
  public func context(of server: Server) throws(XIVEClientError) -> VCPUContext? {
    let ring = try load(at: tima(server, .hw) + 0x10)
    let word2 = UInt32(truncatingIfNeeded: try load(at: tima(server, .hw) + 0x18, byteCount: 4))
    // It may have gone between the two.
    guard ring != .max, word2 != .max else { return nil }
    return VCPUContext(ring: RingState(w01: ring), word2: word2)
  }

  func requireServer(_ server: Server) throws(XIVEClientError) {
    guard server.rawValue < geometry.serverCount else {
      throw .delivery(.noSuchServer(server, count: geometry.serverCount))
    }
  }

  private func tima(_ server: Server, _ view: TIMAView) throws(XIVEClientError) -> UInt64 {
    try requireServer(server)
    return map.offset(of: .tima(server, view))
  }
}

/// `KVM_ENABLE_CAP`, which connects a descriptor to a server.
///
/// Source: Linux `include/uapi/linux/kvm.h`, `struct kvm_enable_cap`, `KVM_CAP_PPC_IRQ_XIVE`.
private enum EnableCapability {
  static let number: UInt32 = 0x4068_aea3
  private static let capability: UInt32 = 169

  static func bytes(device: CInt, server: Server) -> [UInt8] {
    // cap, flags, args[4]; 64 bytes of padding.
    let arguments = [UInt64(bitPattern: Int64(device)), UInt64(server.rawValue), 0, 0]
    let words: [UInt32] = [capability, 0]
    var request = unsafe words.withUnsafeBytes { unsafe [UInt8]($0) }
    unsafe arguments.withUnsafeBytes { unsafe request.append(contentsOf: $0) }
    return request + [UInt8](repeating: 0, count: 64)
  }
}
