internal import XIVEClient
internal import XIVEModel

/// A connected vCPU: its ring, its context and its queues.
struct MapVCPU: Encodable {
  let server: UInt32
  let isPushed: Bool
  let nsr: UInt8
  let cppr: UInt8
  let ipb: UInt8
  let pipr: UInt8
  let queues: [Queue]
  private let ring: RingState

  /// A queue, for programs.
  struct Queue: Encodable {
    let priority: UInt8
    let address: UInt64
    let addressHex: String
    let byteCount: Int
    let toggle: Int
    let index: Int
  }

  private enum CodingKeys: CodingKey {
    case server, isPushed, nsr, cppr, ipb, pipr, queues
  }

  /// Looks at vCPUs without an effect. One that goes meanwhile is left out.
  static func all(of device: borrowing XIVEDescriptor, _ servers: [UInt32])
    throws(XIVEClientError) -> [MapVCPU]
  {
    var result: [MapVCPU] = []
    for server in servers.map(Server.init) {
      guard let context = try device.context(of: server) else { continue }
      result.append(MapVCPU(server, context, try queues(of: server, device)))
    }
    return result
  }

  private init(_ server: Server, _ context: VCPUContext, _ queues: [Queue]) {
    ring = context.ring
    self.server = server.rawValue
    isPushed = context.isPushed
    nsr = ring.nsr
    cppr = ring.cppr
    ipb = ring.ipb
    pipr = ring.pipr
    self.queues = queues
  }

  private static func queues(of server: Server, _ device: borrowing XIVEDescriptor)
    throws(XIVEClientError) -> [Queue]
  {
    var result: [Queue] = []
    for priority in Priority.allCases {
      guard let queue = try device.end(at: ENDIndex(server, priority)).queue else { continue }
      result.append(
        Queue(
          priority: priority.rawValue, address: queue.address,
          addressHex: hexadecimal(queue.address),
          byteCount: queue.byteCount, toggle: queue.position.generation ? 1 : 0,
          index: queue.position.index))
    }
    return result
  }

  /// The vCPU for people: a line, and one for each of its queues.
  var text: String {
    let lines = queues.map { queue in
      "  priority \(queue.priority): queue of \(queue.byteCount / 1_024) KiB at \(queue.addressHex), "
        + "toggle \(queue.toggle), index \(queue.index)"
    }
    let context = isPushed ? "context pushed" : "context pulled"
    return (["vCPU \(server): \(ring), \(context)"] + lines).joined(separator: "\n")
  }
}
