internal import CXIVE
internal import DeviceClient
internal import SystemPackage
public import XIVEModel

/// What a vCPU takes along when it is moved: its OS ring, with what its NVT has kept for it.
///
/// Source: Linux `arch/powerpc/include/uapi/asm/kvm.h`, `KVM_REG_PPC_VP_STATE`.
public struct VPState: Hashable, Sendable {
  /// Its OS ring; words 2 and 3 are not part of the state.
  public var ring: RingState
  /// Whether a descriptor is connected as the vCPU; the device's to know, and not set.
  public let isConnected: Bool
  /// Whether there is state: it is connected, or something is kept for the vCPU that will be. Not set either.
  public let isPresent: Bool

  /// Creates a state to set.
  /// - Parameter ring: the OS ring.
  public init(_ ring: RingState) {
    self.ring = RingState(w01: ring.w01)
    isConnected = false
    isPresent = false
  }

  init(_ info: xive_vp) {
    ring = RingState(w01: UInt64(bigEndian: info.state.0))
    isConnected = info.flags & XIVE_VP_CONNECTED != 0
    isPresent = info.flags & XIVE_VP_PRESENT != 0
  }

  var info: xive_vp {
    var info = xive_vp()
    info.state.0 = ring.w01.bigEndian
    return info
  }
}

/// The state of vCPUs, through any descriptor: group 0x53 of the device's ABI, `xive.h`.
extension XIVEDescriptor {
  /// Asks for the state of a server's vCPU, connected or not.
  /// - Parameter server: the server.
  /// - Returns: its state.
  /// - Throws: ``DeliveryError/noSuchServer(_:count:)``.
  public func vpState(of server: Server) throws(XIVEClientError) -> VPState {
    VPState(try vpInfo(of: server))
  }

  /// Sets the state of a server's vCPU; while none is connected, it is what the next one begins with.
  /// - Parameters:
  ///   - state: the state; of it the ring.
  ///   - server: the server.
  /// - Throws: ``DeliveryError/noSuchServer(_:count:)``, ``MachineError/vpState(_:_:)``.
  public func setVPState(_ state: VPState, of server: Server) throws(XIVEClientError) {
    try setVPInfo(state.info, of: server)
  }

  func vpInfo(of server: Server) throws(XIVEClientError) -> xive_vp {
    let count = geometry.serverCount
    return try device.get(XIVE_GROUP_VP, UInt64(server.rawValue)) { error in
      error == .noSuchAddressOrDevice
        ? .delivery(.noSuchServer(server, count: count)) : .machine(.vpState(server, error))
    }
  }

  func setVPInfo(_ info: xive_vp, of server: Server) throws(XIVEClientError) {
    let count = geometry.serverCount
    try device.set(XIVE_GROUP_VP, UInt64(server.rawValue), info) { error in
      error == .noSuchAddressOrDevice
        ? .delivery(.noSuchServer(server, count: count)) : .machine(.vpState(server, error))
    }
  }
}

/// The state of one vCPU, through the descriptor that is connected: `KVM_GET_ONE_REG` and `KVM_SET_ONE_REG`, as a
/// VMM asks KVM.
extension VCPU {
  /// Asks for the vCPU's state.
  /// - Returns: its OS ring with its backlog.
  /// - Throws: ``MachineError/vpState(_:_:)``, such as `EFAULT` when the server may not reach this process's memory:
  ///   ``XIVEDescriptor/vpState(of:)`` needs none of it.
  public func state() throws(XIVEClientError) -> RingState {
    var words: [2 of UInt64] = [0, 0]
    try register(.get, &words)
    return RingState(w01: UInt64(bigEndian: words[0]))
  }

  /// Replaces the vCPU's state.
  /// - Parameter ring: its OS ring.
  /// - Throws: as ``state()``.
  public func setState(_ ring: RingState) throws(XIVEClientError) {
    var words: [2 of UInt64] = [ring.w01.bigEndian, 0]
    try register(.set, &words)
  }

  private func register(_ request: OneRegister, _ words: inout [2 of UInt64])
    throws(XIVEClientError)
  {
    try unsafe withUnsafeMutableBytes(of: &words) { bytes throws(XIVEClientError) in
      let address = UInt64(UInt(bitPattern: bytes.baseAddress))
      var payload = KVMRequest.bytes([XIVE_REG_VP_STATE, address])
      do throws(DeviceClientError) { try device.device.control(request.rawValue, &payload) } catch {
        throw .machine(.vpState(server, error.errno))
      }
    }
  }
}

/// Source: Linux `include/uapi/linux/kvm.h`, `struct kvm_one_reg`.
private enum OneRegister: UInt32 {
  case get = 0x4010_aeab
  case set = 0x4010_aeac
}
