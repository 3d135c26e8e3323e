/// The mailboxes of all processes on the bus, in this order: the reactors, the workers, the task workers, the custom
/// processes, the gateway, the master, the manager. The processes that the manager starts are numbered from 0.
struct Layout: Sendable {
    let reactors: Int
    let workers: Int
    let taskWorkers: Int
    let userProcesses: [String]
    private let hasGateway: Bool
    /// Whether the gateway is connected with a cluster; otherwise it keeps members of topics alone.
    let hasCluster: Bool

    init(
        _ settings: Settings, _ mode: ServerMode, userProcesses: [String], hasGateway: Bool = false,
        hasCluster: Bool = false
    ) {
        reactors = settings.reactors(mode: mode)
        workers = mode == .single ? 1 : settings.workerCount
        taskWorkers = mode == .single ? 0 : settings.taskWorkerCount
        self.userProcesses = userProcesses
        self.hasGateway = hasGateway
        self.hasCluster = hasCluster
    }

    /// The number of processes that the manager starts. In single mode there are none, and the gateway is a thread.
    var processes: Int { handlerProcesses + (hasGateway ? 1 : 0) }
    /// The number of them that run handlers, which come first.
    var handlerProcesses: Int { workers + taskWorkers + userProcesses.count }
    /// The node of the gateway; `nil` without a cluster.
    var gateway: Int? { hasGateway ? node(of: handlerProcesses) : nil }
    var nodes: Int { reactors + processes + 2 }
    /// The nodes that own connections: reactors, or without them the workers themselves.
    var owners: Range<Int> { 0..<(reactors > 0 ? reactors : workers) }
    var workerNodes: Range<Int> { reactors..<(reactors + workers) }
    var taskNodes: Range<Int> { (reactors + workers)..<(reactors + workers + taskWorkers) }
    var master: Int { nodes - 2 }
    var manager: Int { nodes - 1 }

    func node(of id: Int) -> Int { reactors + id }
    /// The number of the process behind a node; -1 for one that has no number.
    func id(ofNode node: Int) -> Int { (reactors..<reactors + processes).contains(node) ? node - reactors : -1 }

    func role(of id: Int) -> Role {
        if id < workers { return .worker }
        if id >= handlerProcesses { return .gateway }
        return id < workers + taskWorkers ? .taskWorker : .user(userProcesses[id - workers - taskWorkers])
    }

    /// The name of a process in titles and in the log.
    func name(of id: Int) -> String {
        switch role(of: id) {
        case .worker: "worker \(id)"
        case .taskWorker: "task worker \(id)"
        case .user(let name): name
        case .gateway: "gateway"
        }
    }

    func name(ofNode node: Int) -> String {
        switch node {
        case ..<reactors: "reactor \(node)"
        case master: "the master"
        case manager: "the manager"
        default: name(of: node - reactors)
        }
    }
}
