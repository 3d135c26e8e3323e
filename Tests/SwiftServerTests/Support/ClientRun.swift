import Foundation
import SwiftServer
import SwiftServerTesting
import TestProtocol
import Testing

/// Tests of asynchronous clients, which run in this process while it runs no server: clients would use its loop.
enum ClientRun {
    /// Runs a server, and `test` in a task.
    static func run(
        _ scenario: Scenario = .general, _ mode: ServerMode = .process,
        _ configure: @escaping @Sendable (inout Configuration) -> Void = { _ in },
        test: @escaping @Sendable (_ port: Int) async throws -> Void
    ) async throws {
        try await alone {
            try ServerProcess.run(scenario, mode, configure) { server in
                let port = server.port
                try wait { try await test(port) }
            }
        }
    }

    /// Runs `body` on a thread of its own: those of tasks are few.
    static func alone(_ body: @escaping @Sendable () throws -> Void) async throws {
        await Turns.begin()
        defer { Turns.end() }
        try await withCheckedThrowingContinuation { continuation in
            Thread.detachNewThread { continuation.resume(with: Result { try body() }) }
        }
    }

    /// Runs `test` in a task, and waits for it for a limited time.
    static func wait(_ test: @escaping @Sendable () async throws -> Void) throws {
        let outcome = Outcome()
        let task = Task.detached {
            do { try await test() } catch { outcome.set(error) }
            outcome.finish()
        }
        guard outcome.wait() else {
            task.cancel()
            throw Wait.TimedOut(what: "a client")
        }
        if let error = outcome.error { throw error }
    }

    /// How a task ended.
    private final class Outcome: @unchecked Sendable {
        private let done = DispatchSemaphore(value: 0)
        private(set) var error: (any Error)?

        func set(_ error: any Error) { self.error = error }
        func finish() { done.signal() }
        func wait() -> Bool { done.wait(timeout: .now() + 60) == .success }
    }
}
