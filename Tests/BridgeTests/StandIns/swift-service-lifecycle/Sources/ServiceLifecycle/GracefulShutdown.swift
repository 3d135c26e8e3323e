// swift-format-ignore-file: AllPublicDeclarationsHaveDocumentation

import Synchronization

/// The handlers of a group's shutdown.
final class Shutdown: Sendable {
    @TaskLocal static var current: Shutdown?

    private struct State {
        var isTriggered = false
        var handlers: [Int: @Sendable () -> Void] = [:]
        var last = 0
    }
    private let state = Mutex(State())

    /// Adds a handler, or runs it at once after the shutdown.
    func add(_ handler: @escaping @Sendable () -> Void) -> Int? {
        let number: Int? = state.withLock { state in
            guard !state.isTriggered else { return nil }
            state.last += 1
            state.handlers[state.last] = handler
            return state.last
        }
        if number == nil { handler() }
        return number
    }

    func remove(_ number: Int) { state.withLock { _ = $0.handlers.removeValue(forKey: number) } }

    func trigger() {
        let handlers = state.withLock { state in
            defer { state.handlers = [:] }
            state.isTriggered = true
            return state.handlers.values.map { $0 }
        }
        for handler in handlers { handler() }
    }
}

public func withGracefulShutdownHandler<Result>(
    isolation: isolated (any Actor)? = #isolation, operation: () async throws -> Result,
    onGracefulShutdown handler: @Sendable @escaping () -> Void
) async rethrows -> Result {
    guard let shutdown = Shutdown.current else { return try await operation() }
    let number = shutdown.add(handler)
    defer { if let number { shutdown.remove(number) } }
    return try await operation()
}
