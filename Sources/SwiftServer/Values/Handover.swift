internal import CReactor
internal import CReactorInternal
internal import Glibc

/// What a running server hands to a new program that is to take the place of one of its processes: who it will be, the
/// descriptors of everything that is shared, and what its settings must be for both to understand each other.
///
/// It travels as text in the environment, one "name=value" in each line.
struct Handover: Sendable {
    static let variable = "SWIFTSERVER_HANDOVER"

    var id = 0
    /// Where the new process says that it is ready, and hears that it may begin; negative: it may at once.
    var control: Int32 = -1
    var master: Int32 = 0
    var manager: Int32 = 0
    var bus: [Int32] = []
    var orders: [Int32] = []
    /// By port, then by worker. Empty for whom they are not: in process mode they are the master's alone.
    var listeners: [[Int32]] = []
    /// The ports that the sockets are really bound to.
    var ports: [Int] = []
    /// Shared tables and the like, in the order in which the program made them.
    var shared: [Int32] = []
    /// What both must agree on.
    var terms: [String] = []

    /// All that must stay open for the new program.
    var descriptors: [Int32] { ([control] + bus + orders + listeners.joined() + shared).filter { $0 >= 0 } }

    // MARK: As text

    var text: String {
        let lists: [(String, [Int])] = [
            ("id", [id]), ("control", [Int(control)]), ("master", [Int(master)]), ("manager", [Int(manager)]),
            ("bus", bus.map(Int.init)), ("orders", orders.map(Int.init)), ("ports", ports),
            ("shared", shared.map(Int.init)),
        ]
        var lines = lists.map { "\($0.0)=\($0.1.map(String.init).joined(separator: ","))" }
        lines += listeners.map { "listeners=\($0.map { String($0) }.joined(separator: ","))" }
        lines += terms.map { "term=\($0)" }
        return lines.joined(separator: "\n")
    }

    init() {}

    init?(_ text: String) {
        for line in text.split(separator: "\n") {
            let parts = line.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard parts.count == 2 else { return nil }
            let value = parts[1]
            let numbers = value.split(separator: ",").compactMap { Int32($0) }
            switch parts[0] {
            case "id": id = Int(numbers.first ?? 0)
            case "control": control = numbers.first ?? -1
            case "master": master = numbers.first ?? 0
            case "manager": manager = numbers.first ?? 0
            case "bus": bus = numbers
            case "orders": orders = numbers
            case "ports": ports = numbers.map(Int.init)
            case "shared": shared = numbers
            case "listeners": listeners.append(numbers)
            case "term": terms.append(String(value))
            default: return nil
            }
        }
        guard orders.count == Orders.count, !bus.isEmpty else { return nil }
    }

    /// What this process was started with, if it was started to take another one's place. Read once: programs that it
    /// starts itself are nobody's successors.
    static var received: Handover? { reading.handover }
    /// It was, and by a version of this library that says it in another way. It must not become a server of its own.
    static var isUnreadable: Bool { reading.isUnreadable }

    private static let reading: (handover: Handover?, isUnreadable: Bool) = {
        guard let text = unsafe getenv(variable) else { return (nil, false) }
        let handover = unsafe Handover(String(cString: text))
        unsafe unsetenv(variable)
        for descriptor in handover?.descriptors ?? [] { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
        return (handover, handover == nil)
    }()
}

extension Server {
    /// What a new program must have in common with the one whose processes it replaces; everything else may differ.
    var terms: [String] {
        let layout = Layout(server: self)
        let config = settings.busConfig(nodes: layout.nodes, largestPacket: largestPacket)
        let terms =
            [
                "mode \(mode)", "workerCount \(layout.workers)", "reactorCount \(layout.reactors)",
                "taskWorkerCount \(layout.taskWorkers)",
                "processes \(layout.userProcesses.joined(separator: ", "))",
                "maxConnections \(settings.maxConnections)", "ringSize \(settings.ringSize)",
                "largest record \(config.max_payload)",
            ] + ports.map { "port \($0.index): \($0.type) \($0.host)" }
        return terms.map { String($0.map { $0.isNewline ? " " : $0 }) }  // each is a line of its own
    }
}

/// The program that is to be started: where it was when the server started, whatever file is there now.
struct Program: Sendable {
    let path: String
    let arguments: [String]
    /// Where it was started; in the background the server is somewhere else.
    private let directory: String

    /// `/proc/self/exe` would be the old file, also when another one has its name by now.
    init(path: String?) {
        arguments = CommandLine.arguments
        directory = absolutePath(".")
        let name = path ?? arguments.first ?? ""
        self.path = name.contains("/") ? absolutePath(name) : Program.inPath(name) ?? Program.own
    }

    private static var own: String {
        guard let path = unsafe realpath("/proc/self/exe", nil) else { return "" }
        defer { unsafe free(path) }
        return unsafe String(cString: path)
    }

    private static func inPath(_ name: String) -> String? {
        guard !name.isEmpty, let path = unsafe getenv("PATH") else { return nil }
        return unsafe String(cString: path).split(separator: ":").map { "\($0)/\(name)" }
            .first { unsafe access($0, X_OK) == 0 }.map(absolutePath)
    }

    /// In a forked child: becomes the program. Returns only when that fails.
    func execute(_ handover: Handover) -> Int32 {
        _ = unsafe chdir(directory)  // when it is gone, relative paths are the new program's problem
        let argv = unsafe arguments.map { unsafe strdup($0) } + [nil]
        let keep = handover.descriptors
        return unsafe keep.withUnsafeBufferPointer { keep in
            unsafe cre_process_execute(path, argv, keep.baseAddress, keep.count, Handover.variable, handover.text)
        }
    }
}
