/// Serializes the tests that run a server in the process of the tests: a process runs one server at a time.
package actor OneServer {
    private static let shared = OneServer()
    private var isBusy = false
    private var waiting: [CheckedContinuation<Void, Never>] = []

    private func begin() async {
        guard isBusy else {
            isBusy = true
            return
        }
        await withCheckedContinuation { waiting.append($0) }
    }

    private func end() {
        if waiting.isEmpty { isBusy = false } else { waiting.removeFirst().resume() }
    }

    /// Runs `body` while no other one runs.
    @MainActor package static func run<Result>(_ body: @MainActor () async throws -> Result) async throws -> Result {
        await shared.begin()
        do {
            let result = try await body()
            await shared.end()
            return result
        } catch {
            await shared.end()
            throw error
        }
    }
}
