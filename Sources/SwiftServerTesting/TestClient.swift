public import SwiftServer
internal import Synchronization

/// The clients of a server under test; see ``withServer(_:patience:_:)``.
public final class TestClient: Sendable {
    /// The port on which the server listens, on 127.0.0.1.
    public let port: Int
    /// The longest time that a call of a client waits.
    public let patience: Duration
    /// The log of the server.
    public let log: TestLog
    private let open = Mutex<[TestConnection]>([])

    init(port: Int, patience: Duration, log: TestLog) {
        self.port = port
        self.patience = patience
        self.log = log
    }

    /// Connects to the server, or to another of its ports.
    public func connect(port: Int? = nil) async throws -> TestConnection {
        let connection = try await TestConnection.open(port: port ?? self.port, patience: patience)
        open.withLock { $0.append(connection) }
        return connection
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
