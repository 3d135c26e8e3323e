public import SwiftServer
internal import Synchronization

/// The clients of a server under test; see ``withServer(_:listens:controlsTime:patience:_:)``.
public final class TestClient: Sendable {
    /// The server.
    let server: Server
    /// Whether the server listens on its ports.
    let listens: Bool
    /// The time of the server's timers, if the test controls it.
    let time: TestTime?
    /// The port on which the server listens, on 127.0.0.1; 0 when it does not listen.
    public var port: Int { listens ? server.port : 0 }
    /// The longest time that a call of a client waits.
    public let patience: Duration
    /// The log of the server.
    public let log: TestLog
    private let open = Mutex<[TestConnection]>([])

    init(_ server: Server, listens: Bool, time: TestTime?, patience: Duration, log: TestLog) {
        self.server = server
        self.listens = listens
        self.time = time
        self.patience = patience
        self.log = log
    }

    /// Connects to the server.
    ///
    /// - Parameter index: the place of the port in ``/SwiftServer/Server/ports``.
    public func connect(toPort index: Int = 0) async throws -> TestConnection {
        guard server.ports.indices.contains(index) else {
            throw TestFailure("cannot connect to port \(index): the server has \(server.ports.count)")
        }
        let connection = try TestConnection(
            listens ? .port(server.ports[index].port) : .server(server, index), patience)
        open.withLock { $0.append(connection) }
        return connection
    }

    /// Advances the time of the server's timers and fires those that become due, in their order.
    ///
    /// These are the timers of `tick`, `after` and `sleep`. All other limits, such as those of `recv`, tasks and
    /// heartbeats, keep to the real time. Asynchronous code that a timer resumes may go on after this has returned.
    ///
    /// - Throws: ``TestFailure`` when `withServer` was not called with `controlsTime: true`.
    @MainActor public func advance(by duration: Duration) async throws {
        guard let time else { throw TestFailure("advance(by:) needs withServer(_:controlsTime: true)") }
        let end = time.now.advanced(by: duration)
        while let due = server.nextTimer, due <= end {
            time.now = max(due, time.now)
            server.fireTimers()
            await Task.yield()
        }
        time.now = max(end, time.now)
    }

    /// Sends a request on a connection of its own, and receives the response.
    public func request(
        _ method: String, _ target: String, fields: [(name: String, value: String)] = [], body: [UInt8] = []
    ) async throws -> TestResponse {
        try await connect().request(method, target, fields: fields, body: body)
    }

    /// Sends a GET request on a connection of its own, and receives the response.
    public func get(_ target: String, fields: [(name: String, value: String)] = []) async throws -> TestResponse {
        try await request("GET", target, fields: fields)
    }

    /// Sends a POST request with a text as its body on a connection of its own, and receives the response.
    public func post(
        _ target: String, _ body: String, fields: [(name: String, value: String)] = []
    ) async throws -> TestResponse {
        try await request("POST", target, fields: fields, body: [UInt8](body.utf8))
    }

    /// Opens a WebSocket.
    ///
    /// - Throws: ``TestFailure`` with status and body when the server refuses it; use ``request(_:_:fields:body:)`` to
    ///   test refusals.
    public func webSocket(
        _ target: String = "/", fields: [(name: String, value: String)] = [], subprotocols: [String] = []
    ) async throws -> TestWebSocket {
        try await TestWebSocket.open(connect(), target, fields: fields, subprotocols: subprotocols)
    }

    /// Closes all connections.
    func close() async {
        for connection in open.withLock({ $0 }) { await connection.close() }
    }
}

/// The log of a server under test, with the lines of all levels.
public final class TestLog: Sendable {
    /// One line.
    public struct Line: Sendable, Hashable {
        /// The level.
        public let level: LogLevel
        /// The text without time and process.
        public let message: String
    }

    private let recorded = Mutex<[Line]>([])

    init() {}

    func add(_ level: LogLevel, _ message: String) {
        recorded.withLock { $0.append(Line(level: level, message: message)) }
    }

    /// The lines so far.
    public var lines: [Line] { recorded.withLock { $0 } }
    /// The messages of level `error` so far.
    public var errors: [String] { lines.filter { $0.level == .error }.map(\.message) }
}
