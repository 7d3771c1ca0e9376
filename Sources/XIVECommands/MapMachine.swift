internal import XIVEClient
internal import XIVEModel

/// The machine as its VMM has set it up: sizes, addresses, and whether it runs.
struct MapMachine: Encodable {
  let isRunning: Bool
  let sources: UInt32
  let servers: UInt32
  let timaAddress: UInt64?
  let esbAddress: UInt64?
  let irqfds: UInt64

  init(_ device: borrowing XIVEDescriptor) throws(XIVEClientError) {
    isRunning = try device.isRunning()
    sources = try device.sourceCount()
    servers = try device.serverCount()
    timaAddress = try device.address(of: .tima)
    esbAddress = try device.address(of: .esb)
    irqfds = try device.injectionCounters().irqfds
    room = device.geometry
  }

  private let room: DeviceGeometry

  private enum CodingKeys: CodingKey {
    case isRunning, sources, servers, timaAddress, esbAddress, irqfds
  }

  /// What is not as it is at the start; nothing for a device that only runs.
  var lines: [String] {
    var lines: [String] = []
    if !isRunning { lines.append("stopped: events stay at their sources until the machine runs") }
    if sources != room.sourceCount || servers != room.serverCount {
      lines.append("set up for \(sources) sources and \(servers) servers")
    }
    let addresses = [("TIMA", timaAddress), ("ESB", esbAddress)].compactMap { name, address in
      address.map { "\(name) at \(hexadecimal($0))" }
    }
    if !addresses.isEmpty {
      lines.append("guest-physical: \(addresses.joined(separator: ", "))")
    }
    if irqfds > 0 { lines.append("\(irqfds) irqfd\(irqfds == 1 ? "" : "s") assigned") }
    return lines
  }
}
