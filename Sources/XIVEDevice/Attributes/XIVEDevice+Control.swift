internal import CXIVE
public import PagedDevice

extension XIVEDevice {
  /// Performs a control request: KVM's device attributes by pointer, or the same inline.
  ///
  /// Source: Linux `virt/kvm/kvm_main.c`, `kvm_device_ioctl`; numbers from `include/uapi/linux/kvm.h`.
  /// Differs: the kernel answers `EIO` to a process that does not own the virtual machine; here every process
  /// that could open the file may ask. A set through a descriptor without write permission is `EBADF`, which
  /// the kernel, whose descriptors are always writable, does not need.
  /// - Parameter request: number, payload and answer.
  /// - Returns: 0.
  /// - Throws: the attribute's error; ``/PagedDevice/DeviceError/unknownRequest`` for any other number.
  public func control(_ request: inout ControlRequest) throws(DeviceError) -> Int32 {
    defer { tellRefusals() }
    guard trace.isOn else { return try handle(&request) }
    do {
      let result = try handle(&request)
      trace.handled(request, nil)
      return result
    } catch {
      trace.handled(request, error)
      throw error
    }
  }

  private func handle(_ request: inout ControlRequest) throws(DeviceError) -> Int32 {
    switch request.number {
    case AttributeRequest.kvmSet: try pointerAttribute(&request, .set)
    case AttributeRequest.kvmGet: try pointerAttribute(&request, .get)
    case AttributeRequest.kvmHas: try pointerAttribute(&request, .has)
    case xive_set_attr_request: try inlineAttribute(&request, .set)
    case xive_get_attr_request: try inlineAttribute(&request, .get)
    default:
      guard let known = VMRequest(rawValue: request.number) else { throw .unknownRequest }
      guard request.input.count == known.inputByteCount else { throw .invalid }
      return try perform(known, &request)
    }
    return 0
  }

  /// Whether a request is about a few interrupts and has all that it needs with it: what happens again and again
  /// while a guest runs.
  ///
  /// The hot-plug lock that a run takes is never held across a wait.
  /// - Parameters:
  ///   - number: the request's number.
  ///   - input: its bytes.
  /// - Returns: true for inline sets of groups PASSTHROUGH, of short runs, and HWIRQ, of single interrupts; for inline
  ///   gets of one thing; for lines and messages.
  public func isPrompt(_ number: UInt32, _ input: RawSpan) -> Bool {
    if VMRequest(rawValue: number)?.isPrompt == true { return true }
    guard input.byteCount == MemoryLayout<xive_attr>.size else { return false }
    let group = unsafe input.unsafeLoadUnaligned(fromByteOffset: 4, as: UInt32.self)
    switch number {
    case xive_set_attr_request: return isPromptSet(of: group, input)
    // These two count what there is of something.
    case xive_get_attr_request: return group != XIVE_GROUP_INFO && group != XIVE_GROUP_PHB
    default: return false
    }
  }

  private func isPromptSet(of group: UInt32, _ input: RawSpan) -> Bool {
    let payload = AttributeRequest.inlineHeader
    switch group {
    case XIVE_GROUP_PASSTHROUGH:
      let run = unsafe input.unsafeLoadUnaligned(
        fromByteOffset: payload, as: xive_passthrough.self)
      return run.count <= AttributeRequest.promptRunLimit
    case XIVE_GROUP_HWIRQ:
      let value = unsafe input.unsafeLoadUnaligned(fromByteOffset: payload, as: xive_hwirq.self)
      return value.op == XIVE_HWIRQ_TRIGGER || value.op == XIVE_HWIRQ_ASSERT
        || value.op == XIVE_HWIRQ_DEASSERT
    default: return false
    }
  }

  private enum Verb { case set, get, has }

  private func pointerAttribute(_ request: inout ControlRequest, _ verb: Verb) throws(DeviceError) {
    guard request.input.count == AttributeRequest.kvmByteCount else { throw .invalid }
    var payload = AttributePayload(
      .pointer(request.input.value(at: 16)), of: request.caller)
    defer { if trace.isOn { trace.noteValue(payload.head) } }
    do {
      request.invalidation = try perform(
        verb, request.input.value(at: 4), request.input.value(at: 8), &payload, request.opener)
    } catch {
      let isNull = request.input.value(at: 16) as UInt64 == 0
      if error == .badAddress, !isNull { note(.unreachableMemory(of: request.caller.name)) }
      throw error
    }
  }

  private func inlineAttribute(_ request: inout ControlRequest, _ verb: Verb) throws(DeviceError) {
    guard request.input.count == MemoryLayout<xive_attr>.size else { throw .invalid }
    let flags: UInt32 = request.input.value(at: 0)
    guard flags == 0 else { throw .invalid }
    let header = request.input[..<AttributeRequest.inlineHeader]
    var payload = AttributePayload(
      .inline(Array(request.input[header.endIndex...])), of: request.caller)
    defer { if trace.isOn { trace.noteValue(payload.head) } }
    request.invalidation = try perform(
      verb, request.input.value(at: 4), request.input.value(at: 8), &payload, request.opener)
    guard case .inline(let data) = payload.place else { return }
    request.output = header + data
  }

  private func perform(
    _ verb: Verb, _ number: UInt32, _ attribute: UInt64, _ payload: inout AttributePayload,
    _ opener: Opener
  ) throws(DeviceError) -> Invalidation? {
    guard let group = attributeGroup(number) else { throw .noSuchAttribute }
    switch verb {
    case .has:
      guard group.has(attribute) else { throw .noSuchAttribute }
    case .get:
      try group.get(attribute, &payload)
    case .set:
      guard opener.isWritable else { throw .badDescriptor }
      return try group.set(attribute, &payload)
    }
    return nil
  }

  private func attributeGroup(_ number: UInt32) -> (any AttributeGroup)? {
    switch number {
    case UInt32(KVM_DEV_XIVE_GRP_CTRL): ControlGroup(device: self)
    case UInt32(KVM_DEV_XIVE_GRP_SOURCE): SourceGroup(device: self)
    case UInt32(KVM_DEV_XIVE_GRP_SOURCE_CONFIG): SourceConfigGroup(device: self)
    case UInt32(KVM_DEV_XIVE_GRP_EQ_CONFIG): QueueGroup(device: self)
    case UInt32(KVM_DEV_XIVE_GRP_SOURCE_SYNC): SourceSyncGroup(device: self)
    case XIVE_GROUP_PHB: PHBGroup(device: self)
    case XIVE_GROUP_PASSTHROUGH: PassthroughGroup(device: self)
    case XIVE_GROUP_HWIRQ: HardwareGroup(device: self)
    case XIVE_GROUP_MSI: MessageGroup(device: self)
    case XIVE_GROUP_ADDRESS: AddressGroup(device: self)
    case XIVE_GROUP_MACHINE: MachineGroup(device: self)
    case XIVE_GROUP_VP: VPGroup(device: self)
    case XIVE_GROUP_MEMORY: MemoryGroup(device: self)
    case XIVE_GROUP_END: ENDGroup(device: self)
    case XIVE_GROUP_INFO: InfoGroup(device: self)
    default: nil
    }
  }
}

/// KVM's request numbers, which `_IOW` hides from Swift.
///
/// Source: Linux `include/uapi/linux/kvm.h`, `KVM_SET_DEVICE_ATTR` and its neighbours.
enum AttributeRequest {
  static let kvmSet: UInt32 = 0x4018_aee1
  static let kvmGet: UInt32 = 0x4018_aee2
  static let kvmHas: UInt32 = 0x4018_aee3
  /// Bytes of `struct kvm_device_attr`.
  static let kvmByteCount = 24
  /// Bytes of `struct xive_attr` before its payload.
  static let inlineHeader = 16
  /// Interrupts of a run that are mapped in the time of a large fill: some 30 ns each.
  static let promptRunLimit = 4_096
}
