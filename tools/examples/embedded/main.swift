// The interrupt controller inside a VMM, without its file: two vCPUs, a device, and an IPI.
internal import XIVEModel

let priority = Priority.allCases[6]
let (first, second) = (Server(rawValue: 0), Server(rawValue: 1))
let (ipi, device) = (LISN(rawValue: 0), LISN(rawValue: 8))
let machine = Machine(sourceCount: 16, vcpuCount: 2, ramByteCount: 2 * Guest.queueByteCount)
// The device interrupts vCPU 1, which answers with an IPI to vCPU 0.
var guests = [Guest(machine, first, priority), Guest(machine, second, priority, answer: ipi)]
machine.route(ipi, to: first, priority)
machine.route(device, to: second, priority)

print("the device sends two messages")
for _ in 0..<2 { machine.store(device, .trigger, at: 0) }
// A VMM has a thread for each vCPU. Here they take turns.
while let server = machine.lines.next() { guests[Int(server.rawValue)].takeInterrupt() }

let counts = machine.router.counts
print("\(counts.entries) entries, \(counts.notified) notified")
