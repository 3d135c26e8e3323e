import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// The numbers of tasks, which each poster counts.
    @Suite struct TaskIDTests {
        @Test(arguments: [ServerMode.process, .base]) func everyPosterCountsItsTasks(_ mode: ServerMode) throws {
            try ServerProcess.run(.tasks, mode, workers: 2, tasks: 2) { server in
                let clients = try WebSocketClient.ofEveryWorker(2, port: server.port)
                var ids: [Int: [UInt64]] = [:]
                for _ in 0..<5 {
                    for client in clients {
                        guard case .result(.origin(let worker, let id)) = try client.ask(.wait(.origin)) as TaskOutcome
                        else { throw TestFailure("no origin") }
                        ids[worker, default: []].append(id)
                    }
                }
                #expect(ids[0] == [1, 2, 3, 4, 5] && ids[1] == [1, 2, 3, 4, 5])
            }
        }
    }
}
