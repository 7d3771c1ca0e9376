internal import CXIVE
internal import PagedDevice
internal import XIVEModel

extension XIVEDevice {
  /// Performs one of KVM's requests whose structure is whole.
  /// - Returns: the caller's return value.
  func perform(_ number: VMRequest, _ request: inout ControlRequest) throws(DeviceError) -> Int32 {
    guard request.opener.isWritable || !number.hasEffect else { throw .badDescriptor }
    switch number {
    case .checkExtension: return Self.extensions.contains(request.argument) ? 1 : 0
    case .irqLine: _ = try setLine(request)
    case .irqLineStatus:
      let wasDelivered = try setLine(request)
      // In the place of the number, as the structure's union has it.
      request.output = Int32(wasDelivered ? 1 : 0).bytes + request.input[4...]
    case .irqfd: try changeIRQFD(request)
    case .enableCapability: try enableCapability(&request)
    case .signalMSI: return try signalMessage(request) ? 1 : 0
    case .getOneRegister:
      let address = try vpRegister(request)
      let state = try vp(of: request.opener)
      try reaching(request) { () throws(DeviceError) in
        try request.caller.write(state.bigEndian.bytes + UInt64(0).bytes, at: address)
      }
    case .setOneRegister:
      let address = try vpRegister(request)
      // Before anybody asks whether there is a vCPU, as in the kernel.
      let state = try reaching(request) { () throws(DeviceError) -> UInt64 in
        try request.caller.read(at: address, byteCount: 16).value(at: 0)
      }
      try setVP(of: request.opener, to: UInt64(bigEndian: state))
    }
    return 0
  }

  /// What there is of the capabilities that VMMs ask for: `KVM_CAP_IRQFD`, `KVM_CAP_ENABLE_CAP`,
  /// `KVM_CAP_ONE_REG`, `KVM_CAP_SIGNAL_MSI`, `KVM_CAP_IRQFD_RESAMPLE`, `KVM_CAP_DEVICE_CTRL`, `KVM_CAP_MSI_DEVID`, `KVM_CAP_PPC_IRQ_XIVE`.
  private static let extensions: Set<UInt64> = [
    32, 54, 70, 77, 82, 89, 131, UInt64(interruptCapability),
  ]

  /// Source: Linux `include/uapi/linux/kvm.h`, `KVM_CAP_PPC_IRQ_XIVE`.
  private static let interruptCapability: UInt32 = 169

  // MARK: - vCPUs

  /// Connects the descriptor to a vCPU.
  ///
  /// Source: Linux `arch/powerpc/kvm/powerpc.c`, `kvm_vcpu_ioctl_enable_cap`, `KVM_CAP_PPC_IRQ_XIVE`. Differs: the
  /// descriptor is one of the device's file, of which the first argument names any.
  private func enableCapability(_ request: inout ControlRequest) throws(DeviceError) {
    let capability: UInt32 = request.input.value(at: 0)
    let flags: UInt32 = request.input.value(at: 4)
    let descriptor: UInt64 = request.input.value(at: 8)
    let server: UInt64 = request.input.value(at: 16)
    guard capability == Self.interruptCapability, flags == 0 else { throw .invalid }
    guard let number = Int32(exactly: descriptor) else { throw .badDescriptor }
    let caller = request.caller
    let isDevice = try taking(from: caller) { () throws(DeviceError) in
      try caller.isDevice(number)
    }
    guard isDevice else { throw .notPermitted }
    // No number above 32 bits is a server's: refused with the others, after what comes first.
    request.invalidation = try connect(
      request.opener, to: Server(rawValue: UInt32(clamping: server)))
  }

  /// Where in the caller the value of the register is that it asks for.
  ///
  /// Source: Linux `arch/powerpc/kvm/powerpc.c`, `kvm_vcpu_ioctl_set_one_reg`; `book3s.c`, `kvmppc_get_one_reg`,
  /// `KVM_REG_PPC_VP_STATE`.
  /// - Throws: ``/PagedDevice/DeviceError/invalid`` for any other register.
  private func vpRegister(_ request: ControlRequest) throws(DeviceError) -> UInt64 {
    guard request.input.value(at: 0) as UInt64 == XIVE_REG_VP_STATE else { throw .invalid }
    return request.input.value(at: 8)
  }

  // MARK: - Injection

  private func setLine(_ request: ControlRequest) throws(DeviceError) -> Bool {
    try setLine(
      of: LISN(rawValue: request.input.value(at: 0)), to: request.input.value(at: 4) as UInt32 != 0)
  }

  private func signalMessage(_ request: ControlRequest) throws(DeviceError) -> Bool {
    let low: UInt32 = request.input.value(at: 0)
    let high: UInt32 = request.input.value(at: 4)
    let flags: UInt32 = request.input.value(at: 12)
    // KVM_MSI_VALID_DEVID and nothing else.
    guard flags == 1 else {
      if flags == 0 { note(.messageWithoutDevice) }
      throw .invalid
    }
    return try sendMessage(
      UInt64(high) << 32 | UInt64(low), request.input.value(at: 8),
      from: request.input.value(at: 16))
  }

  /// Ties or unties eventfds.
  ///
  /// Source: Linux `virt/kvm/eventfd.c`, `kvm_irqfd`.
  private func changeIRQFD(_ request: ControlRequest) throws(DeviceError) {
    let lisn = LISN(rawValue: request.input.value(at: 4))
    let flags: UInt32 = request.input.value(at: 8)
    guard flags & ~(Self.deassignFlag | Self.resampleFlag) == 0 else { throw .invalid }
    let isResampled = flags & Self.resampleFlag != 0
    let number: Int32 = request.input.value(at: 0)
    // Without an eventfd there is only the end of interrupts to be told of.
    let event = number == -1 && isResampled ? nil : try event(number, of: request)
    let isNeeded = isResampled && (flags & Self.deassignFlag == 0 || event == nil)
    let resample = isNeeded ? try self.event(request.input.value(at: 12), of: request) : nil
    guard flags & Self.deassignFlag == 0 else {
      return deassign(lisn, event, resample, by: request.opener)
    }
    try assign(IRQFD(lisn, opener: request.opener.id, event: event, resample: resample))
  }

  private static let deassignFlag: UInt32 = 1
  private static let resampleFlag: UInt32 = 2

  private func event(_ number: Int32, of request: ControlRequest) throws(DeviceError)
    -> any SharedEvent
  {
    try taking(from: request.caller) { () throws(DeviceError) in
      try request.caller.event(number)
    }
  }

  /// Takes a descriptor of a caller's, and notes it where that is not allowed.
  func taking<Result>(
    from caller: any Caller, _ body: () throws(DeviceError) -> Result
  ) throws(DeviceError) -> Result {
    do { return try body() } catch {
      if error == .notPermitted { note(.untakenDescriptor(of: caller.name)) }
      throw error
    }
  }

  private func reaching<Result>(
    _ request: ControlRequest, _ body: () throws(DeviceError) -> Result
  ) throws(DeviceError) -> Result {
    do { return try body() } catch {
      let isNull = request.input.value(at: 8) as UInt64 == 0
      if error == .badAddress, !isNull { note(.unreachableMemory(of: request.caller.name)) }
      throw error
    }
  }
}

extension FixedWidthInteger {
  /// The number as it lies in memory.
  fileprivate var bytes: [UInt8] {
    unsafe Swift.withUnsafeBytes(of: self) { unsafe [UInt8]($0) }
  }
}
