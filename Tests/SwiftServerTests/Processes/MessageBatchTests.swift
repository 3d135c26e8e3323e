import Foundation
import SwiftServer
import SwiftServerTesting
import Testing

extension ProcessTests {
    /// Messages that are received together, whose asynchronous handlers run in one task, whatever each of them does.
    @Suite struct MessageBatchTests {
        /// What the handlers have done, in order.
        @MainActor final class Record {
            var begun: [String] = []
            var kept: [Frame] = []
        }

        private struct Failure: Error {}

        /// An actor on a thread of its own.
        private actor Elsewhere {
            private final class Executor: SerialExecutor {
                private let queue = DispatchQueue(label: "elsewhere")

                func enqueue(_ job: consuming ExecutorJob) {
                    let job = UnownedJob(job)
                    queue.async { unsafe job.runSynchronously(on: self.asUnownedSerialExecutor()) }
                }
            }

            private let executor = Executor()
            nonisolated var unownedExecutor: UnownedSerialExecutor { unsafe executor.asUnownedSerialExecutor() }
            private(set) var frames: [Frame] = []

            func add(_ frame: Frame) { frames.append(frame) }
        }

        private static let kinds = ["plain", "later", "keeps", "cancels", "asks", "task", "elsewhere"]

        @MainActor private static func makeServer(_ record: Record, _ elsewhere: Elsewhere) -> WebSocketServer {
            let server = WebSocketServer(port: 0, mode: .single)
            server.settings.logLevel = .none
            server.onMessage { server, frame in
                record.begun.append(frame.text)
                switch frame.text.prefix(while: { $0 != " " }) {
                case "later": for _ in 0..<3 { await Task.yield() }
                case "keeps": record.kept.append(frame)
                case "cancels": unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
                case "asks": if Task.isCancelled { return }
                case "task":
                    async let text = frame.text
                    record.kept.append(Frame(fd: frame.fd, bytes: Array(await text.utf8)))
                case "fails":
                    record.kept.append(frame)
                    throw Failure()
                case "elsewhere":
                    server.push(frame, to: frame.fd)
                    return await elsewhere.add(frame)
                default: break
                }
                server.push(frame, to: frame.fd)
            }
            return server
        }

        /// Sends the messages at once, each on two connections. Returns what each connection receives.
        private static func exchange(_ client: TestClient, _ texts: [String], _ count: Int) async throws -> [[String]] {
            let connections = [try await client.connect(), try await client.connect()]
            for connection in connections {
                try await connection.send(RawWebSocket.handshake("/"))
                _ = try await connection.receive(through: "\r\n\r\n")
            }
            let frames = texts.flatMap { RawWebSocket.frame(1, Array($0.utf8)) }
            for connection in connections { try await connection.send(frames) }
            var received: [[String]] = []
            for connection in connections {
                var answers: [String] = []
                for _ in 0..<count {
                    let head = try #require(try await connection.receive(2))
                    let payload = try #require(try await connection.receive(Int(head[1])))
                    answers.append("\(head[0] & 15) \(String(decoding: payload, as: UTF8.self))")
                }
                received.append(answers)
            }
            return received
        }

        private static func check(_ kinds: [[String]]) async throws {
            let record = Record()
            let elsewhere = Elsewhere()
            try await withServer(await makeServer(record, elsewhere), listens: false) { client in
                var kept = 0
                for kinds in kinds {
                    await MainActor.run { (record.begun, record.kept) = ([], []) }
                    let texts = kinds.enumerated().map { "\($1) \($0)" }
                    let received = try await exchange(client, texts, texts.count)
                    #expect(received == [texts.map { "1 \($0)" }, texts.map { "1 \($0)" }], "\(kinds)")
                    // Both connections begin each message, and what was kept has stayed as it was.
                    let begun = await record.begun
                    #expect(begun.sorted() == (texts + texts).sorted(), "\(kinds)")
                    let mine = texts.filter { $0.hasPrefix("keeps") || $0.hasPrefix("task") }
                    #expect(await record.kept.map(\.text).sorted() == (mine + mine).sorted(), "\(kinds)")
                    kept += 2 * kinds.count { $0 == "elsewhere" }
                }
                let frames = await elsewhere.frames
                #expect(frames.count == kept && frames.allSatisfy { $0.text.hasPrefix("elsewhere ") })
            }
        }

        @Test func handlersOfEachKindFollowEachOther() async throws {
            let all = MessageBatchTests.kinds
            try await MessageBatchTests.check(all.flatMap { first in all.map { [first, $0, first, "asks", "plain"] } })
        }

        @Test func anyOrder() async throws {
            let orders = (0..<20).map { _ in (0..<40).map { _ in MessageBatchTests.kinds.randomElement() ?? "plain" } }
            try await MessageBatchTests.check(orders)
        }

        /// A function that has no actor may return on the thread of the last one that it has called.
        @Test func aHandlerWithoutAnActor() async throws {
            let elsewhere = Elsewhere()
            @concurrent @Sendable func handle(_ server: WebSocketServer, _ frame: Frame) async {
                server.push(frame, to: frame.fd)
                await elsewhere.add(frame)
            }
            let server = WebSocketServer(port: 0, mode: .single)
            server.settings.logLevel = .none
            server.onMessage(handle)
            try await withServer(server, listens: false) { client in
                let texts = (0..<40).map { "message \($0)" }
                let received = try await MessageBatchTests.exchange(client, texts, texts.count)
                #expect(received == [texts.map { "1 \($0)" }, texts.map { "1 \($0)" }])
            }
            #expect(await elsewhere.frames.count == 80)
        }

        /// A handler that throws closes the connection, and the frame that it has kept stays.
        @Test(arguments: ["plain", "keeps", "later", "elsewhere"]) func aHandlerThatThrows(_ kind: String) async throws
        {
            let record = Record()
            try await withServer(await MessageBatchTests.makeServer(record, Elsewhere()), listens: false) { client in
                let received = try await MessageBatchTests.exchange(client, ["\(kind) 0", "fails 1", "plain 2"], 2)
                #expect(received.map(\.first) == ["1 \(kind) 0", "1 \(kind) 0"])
                #expect(received.allSatisfy { $0[1].hasPrefix("8 \u{3}\u{FFFD}") }, "\(received)")
                let texts = kind == "keeps" ? ["fails 1", "fails 1", "keeps 0", "keeps 0"] : ["fails 1", "fails 1"]
                #expect(await record.kept.map(\.text).sorted() == texts)
            }
        }
    }
}
