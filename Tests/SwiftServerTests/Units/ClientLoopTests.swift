import CReactor
import Foundation
import Testing

@testable import SwiftServer

/// Clients and the event loops that they run on.
@Suite(.timeLimit(.minutes(1))) struct ClientLoopTests {
    /// A WebSocket client that waits for its next attempt, for hours.
    private func waitingClient(_ thread: LoopThread, _ states: States) async throws -> SwiftServer.WebSocketClient {
        var settings = WebSocketClientSettings()
        settings.reconnects = .exponential(from: .seconds(7200), upTo: .seconds(7200), jitter: 0)
        settings.onState = { states.append($0) }
        let client = try SwiftServer.WebSocketClient("ws://127.0.0.1:1", settings, thread.clients)
        try await thread.run { clients in
            _ = try unsafe clients.open()
            var lost = unsafe cre_client_ending()
            unsafe lost.opened = true
            unsafe lost.code = 1006
            unsafe lost.error = CRE_EGONE.rawValue
            let ending = unsafe ClientEnding(lost)
            client.assumeIsolated {
                $0.opened(nil, false)
                $0.ended(ending)
            }
        }
        return client
    }

    @Test func aClientThatWaitsEndsWithItsLoop() async throws {
        let (thread, states) = (try LoopThread(), States())
        let client = try await waitingClient(thread, states)
        let receiving = Task { try await client.recv() }
        let pushing = Task { try await client.push("never sent") }
        // Both are suspended: there is no connection.
        while await client.waitingTasks < 2 { await Task.yield() }
        await thread.end()
        for result in [await receiving.result.map { _ in }, await pushing.result] {
            let error = #expect(throws: ClientError.self) { try result.get() }
            #expect(error?.code == .closed)
            #expect(error?.message.hasPrefix("the event loop of the client has ended") == true)
        }
        guard case .waiting = states.all.dropLast().last else { return #expect(Bool(false), "\(states.all)") }
        #expect(states.all.last == .closed)
        try await client.close()
        await #expect(throws: ClientError.self) { try await client.push("late") }
    }

    @Test func aWaitIsOverWithItsClient() async throws {
        let (thread, states) = (try LoopThread(), States())
        let closed = try await waitingClient(thread, states)
        try await closed.close()
        #expect(states.all.last == .closed)
        do { _ = try await waitingClient(thread, states) }
        // The last reference is gone, and with it the timer.
        while try await thread.run({ $0.timers.count }) > 0 { await Task.yield() }
        await thread.end()
    }

    @Test func requestsEndWithTheirLoop() async throws {
        let thread = try LoopThread()
        let silent = try RawHTTPServer { peer, _ in peer.awaitEnd() }
        defer { silent.stop() }
        var settings = HTTPClientSettings()
        settings.maxConnectionsPerOrigin = 1
        settings.timeout = .seconds(7200)
        let connections = HTTPConnections(thread.clients, settings)
        let request = HTTPClientRequest("http://127.0.0.1:\(silent.port)/")
        // One has the connection, the other one waits for it.
        let tasks = (0..<2).map { _ in Task { try await connections.execute(request) } }
        while try await thread.run({ _ in connections.pool.counts.all }) == 0 { await Task.yield() }
        await thread.end()
        for task in tasks {
            let error = await #expect(throws: ClientError.self) { _ = try await task.value }
            #expect(error?.code == .closed)
        }
        let late = await #expect(throws: ClientError.self) { _ = try await connections.execute(request) }
        #expect(late?.message.hasPrefix("the event loop of the client has ended") == true)
    }

    @Test func nothingConnectsOnALoopThatHasEnded() async throws {
        let thread = try LoopThread()
        let client = try SwiftServer.WebSocketClient("ws://127.0.0.1:1", WebSocketClientSettings(), thread.clients)
        await thread.end()
        let error = await #expect(throws: ClientError.self) { try await client.open() }
        #expect(error?.code == .closed)
    }
}

/// The states of a client.
private final class States: @unchecked Sendable {
    private let lock = NSLock()
    private var states: [SwiftServer.WebSocketClient.State] = []

    func append(_ state: SwiftServer.WebSocketClient.State) { lock.withLock { states.append(state) } }
    var all: [SwiftServer.WebSocketClient.State] { lock.withLock { states } }
}

/// An event loop on a thread of its own, which ends while clients use it.
private final class LoopThread: Sendable {
    let clients: ClientLoop
    private let ended = DispatchSemaphore(value: 0)

    init() throws {
        let made = Lock<Result<EventLoop, ServerError>?>(nil)
        let begun = DispatchSemaphore(value: 0)
        let ended = ended
        Thread.detachNewThread {
            let result = Result { () throws(ServerError) in try EventLoop() }
            made.withLock { $0 = result }
            begun.signal()
            guard case .success(let loop) = result else { return }
            loop.run()
            loop.end()
            ended.signal()
        }
        begun.wait()
        clients = ClientLoop(try made.withLock { $0! }.get())
    }

    /// Runs `body` on the loop.
    func run<Value: Sendable>(_ body: @escaping @Sendable (ClientLoop) throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            clients.post { [clients] in continuation.resume(with: Result { try body(clients) }) }
        }
    }

    /// Ends the loop, and returns after its end.
    func end() async {
        clients.loop.stop()
        await withCheckedContinuation { continuation in
            Thread.detachNewThread { [ended] in
                ended.wait()
                continuation.resume()
            }
        }
    }
}
