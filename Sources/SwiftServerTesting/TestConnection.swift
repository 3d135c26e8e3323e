internal import Dispatch
internal import SwiftServer

/// A client's connection to a server under test, for raw bytes: `try await client.connect()`.
///
/// Each call ends after ``TestClient/patience`` at the latest, with a ``TestFailure``. Calls are carried out in their
/// order. Tests may use it on the main actor, too: no call blocks its thread.
public final class TestConnection: @unchecked Sendable {
    // `@unchecked`: `blocking` is used on `queue` only.
    private let blocking: RawConnection
    private let queue = DispatchQueue(label: "SwiftServerTesting.connection")

    /// The other end of a connection.
    enum Target {
        case port(Int)
        case server(Server, Int)
    }

    init(_ target: Target, _ patience: Duration) throws {
        switch target {
        case .port(let port): blocking = try RawConnection(port: port)  // on this machine, it does not block
        case .server(let server, let index):
            blocking = try RawConnection { server.adopt($0, port: index) }
        }
        blocking.patience = patience
    }

    /// Runs blocking code behind the calls before.
    func perform<Value: Sendable>(_ work: @escaping @Sendable (RawConnection) throws -> Value) async throws
        -> Value
    {
        try await withCheckedThrowingContinuation { continuation in
            queue.async { [self] in continuation.resume(with: Result { try work(blocking) }) }
        }
    }

    /// Sends bytes.
    public func send(_ bytes: [UInt8]) async throws { try await perform { try $0.send(bytes) } }

    /// Sends text.
    public func send(_ text: String) async throws { try await send([UInt8](text.utf8)) }

    /// Receives exactly `count` bytes; `nil` when the connection ends before.
    public func receive(_ count: Int) async throws -> [UInt8]? { try await perform { try $0.take(count) } }

    /// Receives text up to and including `mark`; `nil` when the connection ends before.
    public func receive(through mark: String) async throws -> String? {
        try await perform { try $0.take(through: mark) }
    }

    /// Receives everything up to the end of the connection.
    public func receiveRest() async throws -> [UInt8] { try await perform { try $0.takeRest() } }

    /// Sends a request and receives the response. The connection may be used for further ones.
    public func request(
        _ method: String, _ target: String, fields: [(name: String, value: String)] = [], body: [UInt8] = []
    ) async throws -> TestResponse {
        var head = "\(method) \(target) HTTP/1.1\r\n"
        let names = Set(fields.map { $0.name.lowercased() })
        if !names.contains("host") { head += "Host: localhost\r\n" }
        if !body.isEmpty, names.isDisjoint(with: ["content-length", "transfer-encoding"]) {
            head += "Content-Length: \(body.count)\r\n"
        }
        for field in fields { head += "\(field.name): \(field.value)\r\n" }
        let bytes = [UInt8]((head + "\r\n").utf8) + body
        return try await perform {
            try $0.send(bytes)
            return try $0.takeWholeResponse(to: method)
        }
    }

    /// Ends the client's side: the server receives the end of the input.
    public func finishSending() async throws { try await perform { $0.shutdownOutput() } }

    /// Closes the connection.
    public func close() async { try? await perform { $0.disconnect() } }

    /// Closes the connection by a reset, as the end of a client's machine would.
    public func reset() async { try? await perform { $0.reset() } }
}
