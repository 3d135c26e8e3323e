import SwiftServer
import SwiftServerTesting
import Testing

extension ProcessTests {
    /// Results of tasks, and those that their posters do not get.
    @Suite struct ReplyTests {
        @Test @MainActor func theValueFollowsTheOtherResults() async throws {
            let server = WebSocketServer(port: 0, mode: .single)
            server.settings.taskWorkerCount = 1
            server.settings.logLevel = .none
            server.onTask { _, task in
                task.finish("first")
                task.finish("second")
                return "value"
            }
            var results: [String] = []
            var asker: ConnectionID?
            server.onMessage { server, frame in
                asker = frame.fd
                server.task(frame.text)
            }
            server.onFinish { server, _, bytes in
                results.append(String(decoding: bytes, as: UTF8.self))
                if results.count == 3 { server.push(results.joined(separator: " "), to: asker!) }
            }
            try await withServer(server) { client in
                let socket = try await client.webSocket("/")
                #expect(try await socket.ask("go") == "first second value")
            }
        }

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
