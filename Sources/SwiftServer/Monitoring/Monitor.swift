internal import CReactor
internal import CReactorInternal

/// The state of a server, read from the memory that its processes share: in any process, whatever the others do.
final class Monitor: Sendable {
    /// A port with connections.
    struct Port: Sendable {
        let index: Int
        /// The number, or the path of a Unix socket.
        let label: String
        let type: PortProtocol
    }

    let bus: Bus
    let flags: ControlFlags
    let layout: Layout
    let mode: ServerMode
    let maxConnections: Int
    let memoryBudget: Int
    let ports: [Port]
    /// The names of the processes and reactors, by node.
    let names: [String]

    init(
        _ bus: Bus, _ flags: ControlFlags, _ layout: Layout, _ mode: ServerMode, _ settings: Settings, ports: [Port]
    ) {
        self.bus = bus
        self.flags = flags
        self.layout = layout
        self.mode = mode
        maxConnections = settings.maxConnections
        memoryBudget = settings.effective(mode: mode).memoryBudget ?? 0
        // Two ports may have the same number on different addresses, and several processes the same name.
        let labels = Monitor.distinct(ports.map(\.label))
        self.ports = zip(ports, labels).map { Port(index: $0.index, label: $1, type: $0.type) }
        names = Monitor.distinct(
            (0..<layout.nodes).map { node in
                node == layout.master ? "master" : node == layout.manager ? "manager" : layout.name(ofNode: node)
            })
    }

    /// The names, with a number behind those that occur again: samples of a metric must differ in their labels.
    static func distinct(_ names: [String]) -> [String] {
        var counts: [String: Int] = [:]
        return names.map { name in
            let count = counts[name, default: 0] + 1
            counts[name] = count
            return count == 1 ? name : "\(name) (\(count))"
        }
    }

    var workers: Range<Int> { layout.node(of: 0)..<layout.node(of: layout.workers) }
    /// The nodes of all processes that the manager starts.
    var processes: Range<Int> { layout.node(of: 0)..<layout.node(of: layout.processes) }

    // MARK: Readiness

    var isStopping: Bool { flags.draining.isRaised || flags.stopping.isRaised }
    var isReloading: Bool { bus.isReloading(manager: layout.manager) }
    var reloadsBegun: UInt64 { bus.counted(.reloadBegun, node: layout.manager) }
    /// The workers that do not run, or have not finished `onWorkerStart`.
    var missingWorkers: [String] { workers.filter { !hasStarted($0) }.map { names[$0] } }

    /// Why the server should get no traffic; empty: it is ready.
    var obstacles: [String] {
        var found: [String] = []
        if isStopping { found.append("the server is stopping") }
        // A reload replaces one worker after the other, while the others serve.
        if !isReloading { found += missingWorkers.map { "\($0) has not started" } }
        let connections = Connections(bus: bus).count
        if connections >= maxConnections { found.append("maxConnections is reached: \(connections)") }
        let held = (0..<layout.nodes).reduce(into: UInt64(0)) { sum, node in
            let engine = NodeStatistics(bus, node: node).raw.engine
            sum += engine.queued &+ engine.buffered &+ engine.transit
        }
        if memoryBudget > 0, held >= UInt64(memoryBudget) { found.append("memoryBudget is reached: \(held) bytes") }
        return found
    }

    /// Whether the process of a node runs, and `onWorkerStart` has returned in it.
    private func hasStarted(_ node: Int) -> Bool {
        let activity = Activity(bus, node: node)
        return bus.pid(ofNode: node) > 0 && activity.served > 0 && !activity.isStarting
    }

    // MARK: Answers

    func metrics(for request: Request) -> (type: String, body: String) {
        let format = MetricsFormat(request)
        return (format.type, format.text(families))
    }

    /// The answer to a probe of readiness.
    var readiness: (status: Int, body: String) {
        let obstacles = obstacles
        return obstacles.isEmpty
            ? (200, "ready\n") : (503, "not ready: \(obstacles.joined(separator: ", "))\n")
    }
}
