import Foundation
import SwiftServer
import TestProtocol
import Testing

/// A `test-server` that runs as a child process, in a process group of its own.
final class ServerProcess {
    /// How it ended.
    enum End: Equatable {
        case exit(Int32)
        case signal(Int32)
    }

    /// A change of the default configuration.
    typealias Change = @Sendable (inout Configuration) -> Void

    /// The master's.
    let pid: Int32
    private(set) var port = 0
    /// Its ports, the main one first.
    private(set) var ports: [Int] = []
    private(set) var end: End?
    /// What all of its processes have printed so far.
    private(set) var lines: [String] = []
    /// The events among the lines.
    private(set) var reports: [(kind: Event.Kind, event: Event)] = []
    private var partial: [UInt8] = []
    private let output: Int32
    private let errors: Int32

    /// Starts a server, runs `test` when it is ready, and stops it whatever happens. Nothing may be left of it then.
    static func run(
        _ scenario: Scenario = .general, _ mode: ServerMode = .process, workers: Int = 1, tasks: Int = 0,
        environment: [String] = [], runner: [String] = [], program: String? = nil,
        _ configure: (inout Configuration) -> Void = { _ in }, test: (ServerProcess) throws -> Void
    ) throws {
        var configuration = Configuration(scenario, mode, workers: workers, tasks: tasks)
        // Clients that a test still holds at its end do not answer a closing handshake.
        configuration.closeTimeout = .milliseconds(200)
        configure(&configuration)
        let server = try ServerProcess(configuration, environment, runner, program: program)
        defer { server.kill() }
        do {
            try server.waitUntilReady()
            try test(server)
            if server.end == nil { try server.stop() }
        } catch {
            Issue.record("\(error); the output was:\n\(server.lines.joined(separator: "\n"))\n\(server.log)")
            throw error
        }
        try server.checkNothingLeft()
    }

    /// Runs one that is not meant to start, to its end.
    static func runFailing(
        _ scenario: Scenario = .general, _ mode: ServerMode = .process, workers: Int = 1, tasks: Int = 0,
        environment: [String] = [], runner: [String] = [], program: String? = nil,
        _ configure: (inout Configuration) -> Void = { _ in }
    ) throws -> ServerProcess {
        var configuration = Configuration(scenario, mode, workers: workers, tasks: tasks)
        configure(&configuration)
        let server = try ServerProcess(configuration, environment, runner, program: program)
        defer { server.kill() }
        try server.waitForEnd()
        try server.drain()
        return server
    }

    /// `runner` is a program, and its arguments, that runs the server.
    private init(
        _ configuration: Configuration, _ environment: [String], _ runner: [String] = [], program: String? = nil
    ) throws {
        let program = program ?? ServerProcess.program
        var ends: [Int32] = [-1, -1]
        guard unsafe pipe(&ends) == 0 else { throw SystemError("making a pipe") }
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        output = ends[0]
        // Not a pipe: nobody has to read it for the server to go on.
        var name = Array("\(NSTemporaryDirectory())/test-server.XXXXXX".utf8CString)
        errors = unsafe mkstemp(&name)
        unsafe unlink(name)
        _ = fcntl(errors, F_SETFD, FD_CLOEXEC)
        defer { close(ends[1]) }
        pid = try ServerProcess.spawn(
            runner + [program, encoded(configuration)], ServerProcess.inherited + environment, output: ends[1],
            errors: errors)
    }

    deinit {
        close(output)
        close(errors)
    }

    static let program = folder + "/test-server"

    /// Where the test runner is, all other programs of the package are, too.
    private static let folder: String = {
        let path = (try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")) ?? ""
        return String(path[..<(path.lastIndex(of: "/") ?? path.startIndex)])
    }()

    /// A crash is part of several tests, and its report would only take time.
    private static let inherited =
        ProcessInfo.processInfo.environment.filter { $0.key != "SWIFT_BACKTRACE" }.map { "\($0.key)=\($0.value)" }
        + ["SWIFT_BACKTRACE=enable=no"]

    private static func spawn(
        _ arguments: [String], _ environment: [String], output: Int32, errors: Int32
    ) throws -> Int32 {
        var actions = unsafe posix_spawn_file_actions_t()
        var attributes = posix_spawnattr_t()
        unsafe posix_spawn_file_actions_init(&actions)
        unsafe posix_spawnattr_init(&attributes)
        defer {
            unsafe posix_spawn_file_actions_destroy(&actions)
            unsafe posix_spawnattr_destroy(&attributes)
        }
        unsafe posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0)
        unsafe posix_spawn_file_actions_adddup2(&actions, output, 1)
        unsafe posix_spawn_file_actions_adddup2(&actions, errors, 2)
        // The runner's threads block signals, which a child would inherit.
        var signals = sigset_t()
        unsafe sigemptyset(&signals)
        unsafe posix_spawnattr_setsigmask(&attributes, &signals)
        unsafe posix_spawnattr_setpgroup(&attributes, 0)
        unsafe posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK))
        let argv = unsafe arguments.map { unsafe strdup($0) } + [nil]
        let envp = unsafe environment.map { unsafe strdup($0) } + [nil]
        defer {
            let strings = unsafe argv + envp
            for index in unsafe strings.indices { unsafe free(strings[index]) }
        }
        var pid: pid_t = 0
        let result = unsafe posix_spawn(&pid, argv[0]!, &actions, &attributes, argv, envp)
        guard result == 0 else { throw SystemError("starting \(arguments[0])", result) }
        return pid
    }
}

// MARK: - Its output

extension ServerProcess {
    /// The log, so far.
    var log: String {
        let size = Int(lseek(errors, 0, Int32(SEEK_END)))
        var bytes = [UInt8](repeating: 0, count: max(0, size))
        let count = unsafe bytes.withUnsafeMutableBytes { unsafe pread(errors, $0.baseAddress, $0.count, 0) }
        return String(decoding: bytes[..<max(0, count)], as: UTF8.self)
    }

    private func waitUntilReady() throws {
        let ready = try event(.ready)
        if case .ready(let port, let pid, let ports) = ready {
            #expect(pid == self.pid || pid == 1)
            (self.port, self.ports) = (port, ports)
        }
    }

    private func add(_ line: ArraySlice<UInt8>) {
        lines.append(String(decoding: line, as: UTF8.self))
        if let report = Event.parse(lines[lines.count - 1]) { reports.append(report) }
    }

    /// Everything, when all processes have ended.
    private func drain() throws {
        let deadline = ContinuousClock.now + Wait.patience
        while try readOutput(until: deadline, "the end of the output") {}
        if !partial.isEmpty { add(partial[...]) }
        partial = []
    }

    private func readOutput(until deadline: ContinuousClock.Instant, _ what: @autoclosure () -> String) throws -> Bool {
        try RawConnection.poll(output, POLLIN, until: deadline, what())
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let count = unsafe buffer.withUnsafeMutableBytes { unsafe read(output, $0.baseAddress, $0.count) }
        guard count > 0 else { return false }
        partial += buffer[..<count]
        let parts = partial.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        for line in parts.dropLast() { add(line) }
        partial = Array(parts.last ?? [])
        return true
    }
}

// MARK: - Its events

extension ServerProcess {
    /// All events so far.
    var events: [Event] {
        var entry = pollfd(fd: output, events: Int16(POLLIN), revents: 0)
        while unsafe poll(&entry, 1, 0) > 0, (try? readOutput(until: .now + .seconds(1), "output")) == true {}
        return reports.map(\.event)
    }

    func events(_ kind: Event.Kind) -> [Event] {
        _ = events
        return reports.filter { $0.kind == kind }.map(\.event)
    }

    /// Waits for the `count`th event for which `value` is not `nil`, and returns that.
    func event<Value>(_ what: String, _ count: Int = 1, _ value: (Event) -> Value?) throws -> Value {
        try report(what, count) { value($0.event) }
    }

    /// Waits for the `count`th event of a kind.
    @discardableResult func event(_ kind: Event.Kind, _ count: Int = 1) throws -> Event {
        try report(kind.rawValue, count) { $0.kind == kind ? $0.event : nil }
    }

    private func report<Value>(
        _ what: String, _ count: Int, _ value: ((kind: Event.Kind, event: Event)) -> Value?
    ) throws -> Value {
        let deadline = ContinuousClock.now + Wait.patience
        while true {
            let found = reports.compactMap(value)
            if found.count >= count { return found[count - 1] }
            guard try readOutput(until: deadline, "event \(count) of \(what)") else {
                throw Wait.TimedOut(what: "event \(count) of \(what): the server has ended")
            }
        }
    }

    /// Waits until an event has been reported `count` times.
    func wait(for event: Event, _ count: Int = 1) throws {
        try self.event("\(event)", count) { $0 == event ? () : nil }
    }

    /// Waits for the first close, which must be as given, and returns its text.
    @discardableResult func expectClose(
        of fd: ConnectionID? = nil, code: UInt16? = nil, cause: CloseReason.Cause? = nil,
        location: SourceLocation = #_sourceLocation
    ) throws -> String {
        let event = try event(.close)
        guard case .close(let itsID, let itsCode, let itsCause, let text) = event else { return "" }
        let isExpected = itsID == fd ?? itsID && itsCode == code ?? itsCode && itsCause == cause ?? itsCause
        #expect(isExpected, "\(event)", sourceLocation: location)
        return text
    }

    /// The pid of a worker or task worker that has started for the `count`th time.
    @discardableResult func workerStart(_ id: Int, _ count: Int = 1) throws -> Int32 {
        try event("workerStart \(id)", count) { if case .workerStart(id, let pid) = $0 { pid } else { nil } }
    }

    @discardableResult func workerStop(_ id: Int, _ count: Int = 1) throws -> Int32 {
        try event("workerStop \(id)", count) { if case .workerStop(id, let pid) = $0 { pid } else { nil } }
    }

    /// The pid of a custom process that has started for the `count`th time.
    @discardableResult func customProcess(_ index: Int, id: Int, _ count: Int = 1) throws -> Int32 {
        try event("process \(index)", count) { if case .process(index, id, let pid) = $0 { pid } else { nil } }
    }

    /// How often a worker has started until now.
    func starts(of id: Int) -> Int {
        events(.workerStart).count { if case .workerStart(id, _) = $0 { true } else { false } }
    }

    /// The only error that was reported.
    func onlyError() throws -> (code: ServerError.Code, message: String) {
        let errors = events(.error)
        guard errors.count == 1, case .error(let code, let message) = errors[0] else {
            throw Wait.TimedOut(what: "one error among \(events)")
        }
        return (code, message)
    }
}

// MARK: - Its processes and its end

extension ServerProcess {
    var running: [Int32] { ProcessTable.running(inGroup: pid) }

    /// The pid of the process with this title, when there is exactly one.
    func process(_ name: String) throws -> Int32 {
        var found: [Int32] = []
        try Wait.until("one process \"fixture: \(name)\" among \(running.map { ProcessTable.title($0) ?? "?" })") {
            found = running.filter { ProcessTable.title($0) == "fixture: \(name)" }
            return found.count == 1
        }
        return found[0]
    }

    func signal(_ signal: Int32, to process: Int32? = nil) { Glibc.kill(process ?? pid, signal) }

    /// Asks it to stop, as an administrator would.
    func stop() throws {
        signal(SIGTERM)
        #expect(try waitForEnd() == .exit(0))
        try waitForSilence()
    }

    /// Until all processes have ended and everything that they printed was read.
    func waitForSilence() throws {
        try Wait.until("the end of processes \(running.map { ProcessTable.title($0) ?? "?" })") { running.isEmpty }
        try drain()
    }

    @discardableResult func waitForEnd() throws -> End {
        try Wait.until("the end of the master") {
            _ = events  // a server whose output nobody reads may wait for that
            var status: Int32 = 0
            guard end == nil, unsafe waitpid(pid, &status, WNOHANG) == pid else { return end != nil }
            end = status & 0x7F == 0 ? .exit(status >> 8 & 0xFF) : .signal(status & 0x7F)
            return true
        }
        return end!
    }

    /// No process, no socket, no unread line.
    private func checkNothingLeft() throws {
        try waitForSilence()
        // Another program may be given the port as soon as it is free, so one look proves nothing.
        try Wait.until("port \(port) to be free") { !PortUser.isListening(port) }
    }

    private func kill() {
        if end == nil || !running.isEmpty { Glibc.kill(-pid, SIGKILL) }
        _ = try? waitForEnd()
    }
}
