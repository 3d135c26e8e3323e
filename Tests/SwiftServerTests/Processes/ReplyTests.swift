import SwiftServer
import SwiftServerTesting
import Testing

extension ProcessTests {
    /// Results of tasks that their posters do not get.
    @Suite struct ReplyTests {
        @Test @MainActor func repliesThatAreNotSentHaveAReason() async throws {
            let server = WebSocketServer(port: 0, mode: .single)
            server.settings.taskWorkerCount = 1
            server.settings.maxTask = 4096
            server.settings.logLevel = .none
            var last: ServerTask?
            var words: [String] = []
            server.onTask { _, task in
                let large = [UInt8](repeating: 0, count: 4097)
                let isLargeAccepted: Bool = task.finish(large)
                words += ["\(task.finish(large))", "\(isLargeAccepted)", "\(task.finish("first"))"]
                last = task
            }
            server.onMessage { (server, frame) async throws in
                words.append(try await server.task(frame.text, timeout: .seconds(10)) ?? "nothing")
                // The end of the task follows its result.
                _ = try await server.task(frame.text, timeout: .seconds(10))
                await server.sleep(for: .milliseconds(1))
                let isLateAccepted: Bool = last!.finish("late")
                words += ["\(last!.finish("late"))", "\(isLateAccepted)"]
                server.push("done", to: frame.fd)
            }
            try await withServer(server) { client in
                let socket = try await client.webSocket("/")
                let answer = try await socket.ask("go")
                #expect(answer == "done")
            }
            let each = ["tooLarge", "false", "sent"]
            #expect(words == each + ["first"] + each + ["ended", "false"])
        }
    }
}
