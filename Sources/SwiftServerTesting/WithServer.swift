@_exported public import SwiftServer
internal import Synchronization

/// Starts a server, runs a test with clients of it, and stops it in order, also when the test throws an error.
///
/// ```swift
/// @Test func echo() async throws {
///     let server = WebSocketServer(port: 0, mode: .single)
///     configure(server)                                       // the program's own handlers and settings
///     try await withServer(server) { client in
///         let socket = try await client.webSocket("/echo")
///         #expect(try await socket.ask("hello") == "hello")
///         #expect(try await client.get("/health").status == 200)
///     }
/// }
/// ```
///
/// The server runs in the process of the tests, on the main actor, where its handlers can be debugged and their
/// variables inspected. One server runs at a time: other calls wait for their turn. The function works in tests of any
/// framework and on any actor.
///
/// - Parameters:
///   - server: of ``/SwiftServer/ServerMode/single``, with port 0 and without TLS, which the clients do not have. It
///     was not started before.
///   - listens: whether the server binds its ports. If not, its clients are connected by pairs of sockets, and tests
///     need no network; connections have no addresses.
///   - controlsTime: whether the time of the server's timers stands still until ``TestClient/advance(by:)`` is called.
///   - patience: the longest time that a call of a client waits.
///   - body: the test.
/// - Returns: the result of `body`.
/// - Throws: the error of `body`; ``/SwiftServer/ServerError`` when it cannot start; ``TestFailure`` for a server
///   that cannot be tested in this way.
@discardableResult
public func withServer<Result>(
    _ server: Server, listens: Bool = true, controlsTime: Bool = false, patience: Duration = .seconds(10),
    _ body: (TestClient) async throws -> Result
) async throws -> Result {
    guard server.mode == .single else {
        throw TestFailure("withServer needs a server made with mode: .single, got \(server.mode)")
    }
    guard server.tls == nil else { throw TestFailure("withServer needs a server without TLS") }
    guard !listens || ["127.0.0.1", "0.0.0.0"].contains(server.host) else {
        throw TestFailure("withServer needs a server with host 127.0.0.1 or 0.0.0.0, got \(server.host)")
    }
    await Turns.begin()
    defer { Turns.end() }
    let log = TestLog()
    LogObserver.install { log.add($0, $1) }
    defer { LogObserver.remove() }

    let start = Start()
    let time = controlsTime ? TestTime() : nil
    var now: (@Sendable () -> ContinuousClock.Instant)?
    if let time { now = { time.now } }
    let conditions = TestConditions(listens: listens, time: now)
    let run = Task { @MainActor () async throws -> Void in
        do {
            try server.start(under: conditions) { start.settle(.success(())) }
            start.settle(.failure(TestFailure("the server ended before it has started")))
        } catch {
            start.settle(.failure(error))
            throw error
        }
    }
    try await start.wait()
    let client = TestClient(server, listens: listens, time: time, patience: patience, log: log)
    let outcome: Swift.Result<Result, any Error>
    do { outcome = .success(try await body(client)) } catch { outcome = .failure(error) }
    await client.close()
    server.shutdown()
    let end = await run.result
    let result = try outcome.get()
    try end.get()
    return result
}

/// The outcome of the start of a server, which one task waits for.
private final class Start: Sendable {
    private enum State {
        case pending
        case waiting(CheckedContinuation<Void, any Error>)
        case settled(Result<Void, any Error>)
    }
    private let state = Mutex(State.pending)

    /// The first outcome counts.
    func settle(_ outcome: Result<Void, any Error>) {
        let waiting: CheckedContinuation<Void, any Error>? = state.withLock { state in
            if case .settled = state { return nil }
            defer { state = .settled(outcome) }
            if case .waiting(let continuation) = state { return continuation }
            return nil
        }
        waiting?.resume(with: outcome)
    }

    func wait() async throws {
        try await withCheckedThrowingContinuation { continuation in
            let outcome: Result<Void, any Error>? = state.withLock { state in
                if case .settled(let outcome) = state { return outcome }
                state = .waiting(continuation)
                return nil
            }
            if let outcome { continuation.resume(with: outcome) }
        }
    }
}
