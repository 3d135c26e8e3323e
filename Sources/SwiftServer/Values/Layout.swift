/// What a process of the server is there for.
enum Role: Equatable, Sendable {
    case worker
    case taskWorker
    /// One that ``ServerEvents/addProcess(_:_:)-(_,(Self)->Void)`` added, with its name.
    case user(String)
}

/// Which process has which mailbox on the bus: the reactors, the workers, the task workers, the user's processes, the
/// master, the manager. Those that the manager starts are numbered from 0, in this order.
struct Layout: Sendable {
    let reactors: Int
    let workers: Int
    let taskWorkers: Int
    let userProcesses: [String]

    init(server: Server) {
        let settings = server.settings
        reactors = settings.reactors(mode: server.mode)
        workers = server.mode == .single ? 1 : settings.workerCount
        taskWorkers = server.mode == .single ? 0 : settings.taskWorkerCount
        userProcesses = server.handlers.processes.map(\.name)
    }

    /// How many processes the manager starts.
    var processes: Int { workers + taskWorkers + userProcesses.count }
    var nodes: Int { reactors + processes + 2 }
    /// The nodes that own connections: reactors, or without them the workers themselves.
    var owners: Range<Int> { 0..<(reactors > 0 ? reactors : workers) }
    var taskNodes: Range<Int> { (reactors + workers)..<(reactors + workers + taskWorkers) }
    var master: Int { nodes - 2 }
    var manager: Int { nodes - 1 }

    func node(of id: Int) -> Int { reactors + id }
    /// The process behind a node; -1 for one that has no number.
    func id(ofNode node: Int) -> Int { (reactors..<reactors + processes).contains(node) ? node - reactors : -1 }

    func role(of id: Int) -> Role {
        if id < workers { return .worker }
        return id < workers + taskWorkers ? .taskWorker : .user(userProcesses[id - workers - taskWorkers])
    }

    /// A process in words, as titles and the log say it.
    func name(of id: Int) -> String {
        switch role(of: id) {
        case .worker: "worker \(id)"
        case .taskWorker: "task worker \(id)"
        case .user(let name): name
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
