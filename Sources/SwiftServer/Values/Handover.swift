internal import Glibc

/// What a running server hands over to a new program that will replace one of its processes: the number of the process,
/// the descriptors of everything that is shared, and the compatibility parameters.
///
/// It is passed as text in the environment, one "name=value" on each line.
struct Handover: Sendable {
    static let variable = "SWIFTSERVER_HANDOVER"

    var id = 0
    /// The channel to the manager, on which the new process reports that it is ready and waits until it may begin;
    /// negative: it may begin at once.
    var control: Int32 = -1
    var master: Int32 = 0
    var manager: Int32 = 0
    var bus: [Int32] = []
    var flags: [Int32] = []
    /// The sockets by port, then by worker. Empty for a process that owns none.
    var listeners: [[Int32]] = []
    /// The ports that the sockets are really bound to.
    var ports: [Int] = []
    /// Shared tables, atomics and locks, in the order in which the program made them.
    var shared: [Int32] = []
    /// The parameters that both programs must have in common.
    var compatibility: [String] = []

    /// The descriptors that must stay open for the new program.
    var descriptors: [Int32] { ([control] + bus + flags + listeners.joined() + shared).filter { $0 >= 0 } }

    // MARK: As text

    var text: String {
        let lists: [(String, [Int])] = [
            ("id", [id]), ("control", [Int(control)]), ("master", [Int(master)]), ("manager", [Int(manager)]),
            ("bus", bus.map(Int.init)), ("flags", flags.map(Int.init)), ("ports", ports),
            ("shared", shared.map(Int.init)),
        ]
        var lines = lists.map { "\($0.0)=\($0.1.map(String.init).joined(separator: ","))" }
        lines += listeners.map { "listeners=\($0.map { String($0) }.joined(separator: ","))" }
        lines += compatibility.map { "compatibility=\($0)" }
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
            case "flags": flags = numbers
            case "ports": ports = numbers.map(Int.init)
            case "shared": shared = numbers
            case "listeners": listeners.append(numbers)
            case "compatibility": compatibility.append(String(value))
            default: return nil
            }
        }
        guard flags.count == ControlFlags.count, !bus.isEmpty else { return nil }
    }

    /// The handover that this process was started with, if it will replace another one. It is read once: programs that
    /// this process starts do not inherit it.
    static var received: Handover? { reading.handover }
    /// Whether the handover was written by an incompatible version of the library; `start()` must then fail.
    static var isUnreadable: Bool { reading.isUnreadable }

    private static let reading: (handover: Handover?, isUnreadable: Bool) = {
        guard let text = unsafe getenv(variable) else { return (nil, false) }
        let handover = unsafe Handover(String(cString: text))
        unsafe unsetenv(variable)
        for descriptor in handover?.descriptors ?? [] { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
        return (handover, handover == nil)
    }()
}
