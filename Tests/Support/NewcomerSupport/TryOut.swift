package import SwiftServer
import SwiftServerTesting

/// Runs a `.single` server until `client`, in a thread of its own, has returned.
@MainActor package func tryOut<Result: Sendable>(
    _ server: Server, _ client: @escaping @Sendable (Int) throws -> Result
) async throws -> Result {
    try await Turns.run {
        server.settings.closeTimeout = .milliseconds(100)
        var task: Task<Result, any Error>?
        server.onStart { server in
            let port = server.port
            task = Task.detached {
                defer { server.shutdown() }
                return try client(port)
            }
        }
        try server.start()
        guard let task else { throw Broken("the server did not start") }
        return try await task.value
    }
}

/// What a client did not expect.
package struct Broken: Error, CustomStringConvertible {
    package let description: String
    package init(_ description: String) { self.description = description }
}

/// Runs `body`, which starts a server, while no other server runs in this process.
@MainActor package func serialized<Result>(_ body: @MainActor () async throws -> Result) async throws -> Result {
    try await Turns.run(body)
}
