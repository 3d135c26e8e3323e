internal import Synchronization

/// The order in which tests that need a server get one: a process runs one server at a time.
package enum Turns {
    private struct Queue {
        var isBusy = false
        var waiting: [CheckedContinuation<Void, Never>] = []
    }
    private static let queue = Mutex(Queue())

    package static func begin() async {
        await withCheckedContinuation { continuation in
            let isFree = queue.withLock { queue in
                guard queue.isBusy else {
                    queue.isBusy = true
                    return true
                }
                queue.waiting.append(continuation)
                return false
            }
            if isFree { continuation.resume() }
        }
    }

    package static func end() {
        let next: CheckedContinuation<Void, Never>? = queue.withLock { queue in
            if queue.waiting.isEmpty {
                queue.isBusy = false
                return nil
            }
            return queue.waiting.removeFirst()
        }
        next?.resume()
    }

    /// Runs `body`, which starts a server itself, while no other test has one.
    @MainActor package static func run<Result>(_ body: @MainActor () async throws -> Result) async throws -> Result {
        await begin()
        defer { end() }
        return try await body()
    }
}
