internal import CReactor
internal import CReactorInternal
internal import Glibc

/// A process that was started from a new program to take the place of one of a running server.
///
/// Its `main` runs like that of the first one, up to `start()`, which ends here. It makes itself ready, says so, and
/// waits until the manager lets it begin: until then its predecessor serves, and when it fails, goes on serving.
enum Successor {
    static func run(_ server: Server, _ handover: Handover) throws(ServerError) -> Never {
        let control = handover.control >= 0 ? Control(descriptor: handover.control) : nil
        var own: [Int32]?
        do throws(ServerError) { own = try prepare(server, handover) } catch {
            if let control { control.fail(error.message) } else { Log.error(error.message) }
            throw error
        }
        if let control {
            guard control.waitForLeave() else { cre_process_exit(0) }
            control.end()
        }
        Worker.run(id: handover.id, server: server, bus: server.bus!, layout: Layout(server: server), listeners: own)
    }

    /// Returns the sockets that are its own, if it is to have any.
    private static func prepare(_ server: Server, _ handover: Handover) throws(ServerError) -> [Int32]? {
        try compare(server.terms, handover.terms)
        let layout = Layout(server: server)
        Log.setRole(layout.name(of: handover.id))
        try Launch.open(server)
        server.bus = try Bus(
            attaching: handover.bus,
            server.settings.busConfig(nodes: layout.nodes, largestPacket: server.largestPacket))
        server.orders = Orders(handover.orders)
        for (port, number) in zip(server.ports, handover.ports) { port.port = number }
        server.port = server.ports[0].port
        server.masterPID = handover.master
        server.managerPID = handover.manager
        let isOwner = server.mode == .base && layout.role(of: handover.id) == .worker
        if isOwner { for port in server.ports { try port.readCertificates() } }
        _ = CommandLine.arguments  // copied by the runtime before the title is written over the originals
        cre_process_set_title(nil)
        cre_process_line_buffered()
        signal(SIGPIPE, SIG_IGN)
        Master.isInUse = true
        guard isOwner else { return nil }
        let own = handover.listeners.map { $0[handover.id] }
        for descriptor in Set(handover.listeners.joined()).subtracting(own) { close(descriptor) }
        return own
    }

    private static func compare(_ own: [String], _ theirs: [String]) throws(ServerError) {
        guard own != theirs else { return }
        let differences = zip(own, theirs).filter { $0 != $1 }.map { "\"\($0)\" instead of \"\($1)\"" }
        throw ServerError(
            code: .invalidSetting,
            message: """
                the new program has \(differences.first ?? "another number of ports"), \
                which only a restart of the server can change
                """)
    }
}

/// The line between the manager and a new program that makes itself ready.
struct Control: Sendable {
    let descriptor: Int32

    /// The manager's end and the other one's.
    static func pair() throws(ServerError) -> (Control, Control) {
        var ends: [Int32] = [-1, -1]
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        guard unsafe socketpair(AF_UNIX, type, 0, &ends) == 0 else { throw .system("making a socket pair", -errno) }
        return (Control(descriptor: ends[0]), Control(descriptor: ends[1]))
    }

    /// What the other side has said.
    enum Word: Equatable {
        case nothing
        case ready
        case failed(String)
    }

    private static let ready: UInt8 = 1
    private static let failed: UInt8 = 2
    private static let begin: UInt8 = 3

    // The manager's side.

    func word() -> Word {
        let bytes = read(flags: Int32(MSG_DONTWAIT))
        return switch bytes.first {
        case Control.ready: .ready
        case Control.failed: .failed(String(decoding: bytes.dropFirst(), as: UTF8.self))
        default: .nothing
        }
    }

    func letBegin() { write([Control.begin]) }

    // The other side.

    /// Says that it is ready, and waits. False: it is not wanted any more.
    func waitForLeave() -> Bool {
        write([Control.ready])
        return read(flags: 0) == [Control.begin]
    }

    /// Says why it cannot be.
    func fail(_ cause: String) { write([Control.failed] + cause.utf8.prefix(1000)) }

    func end() { close(descriptor) }

    private func write(_ bytes: [UInt8]) {
        _ = unsafe bytes.withUnsafeBytes { unsafe send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
    }

    private func read(flags: Int32) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 1024)
        while true {
            let count = unsafe bytes.withUnsafeMutableBytes { unsafe recv(descriptor, $0.baseAddress, $0.count, flags) }
            if count < 0 && errno == EINTR { continue }
            return Array(bytes[..<max(0, count)])
        }
    }
}
