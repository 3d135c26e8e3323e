import Glibc
import SwiftServer

/// A handler that notices whether it is suspended while it takes messages that have all arrived.
@MainActor enum StraightLineBatch {
    private final class Turns {
        /// Whether another task has had a turn.
        var othersRan = false
    }

    /// The first message is the number of the others.
    static func serve(_ server: WebSocketServer, _ ws: WebSocket) async throws {
        try await ws.upgrade()
        guard let first = try await ws.recv(), let count = Int(first.text) else { return }
        // Blocks until the process that owns the connection has passed all of them on.
        while server.stats().messagesReceived <= count { usleep(1000) }
        let turns = Turns()
        Task { turns.othersRan = true }  // has its turn when this handler is suspended
        var taken = 0
        while taken < count, try await ws.recv() != nil { taken += 1 }
        let wasSuspended = turns.othersRan
        await Task.yield()
        try await ws.push("\(taken) taken, suspended: \(wasSuspended), then \(turns.othersRan)")
    }
}
