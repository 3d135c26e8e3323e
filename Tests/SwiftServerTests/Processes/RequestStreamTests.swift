#if HTTP2
import SwiftServer
import SwiftServerTesting
import Testing

extension ProcessTests {
    /// Requests of several streams of HTTP/2 that arrive together, whose handlers run in one task, whatever each of
    /// them does.
    @Suite struct RequestStreamTests {
        /// The frames of a client.
        private struct Frames {
            var bytes = [UInt8]("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8)

            mutating func append(_ type: UInt8, _ flags: UInt8, stream: Int, _ payload: [UInt8]) {
                bytes += [0, UInt8(payload.count >> 8), UInt8(payload.count & 255), type, flags]
                bytes += [0, 0, UInt8(stream >> 8), UInt8(stream & 255)] + payload
            }

            /// Fields of the static table, then `:authority` and `:path` as literals.
            mutating func appendGet(_ path: String, stream: Int) {
                let path = Array(path.utf8)
                append(1, 5, stream: stream, [0x82, 0x86, 0x01, 1, 97, 0x04, UInt8(path.count)] + path)
            }
        }

        private struct Answer: Equatable {
            var status = ""
            var body = ""
        }

        /// The answers by the numbers of their streams.
        private static func read(_ bytes: [UInt8]) -> [Int: Answer] {
            var answers: [Int: Answer] = [:]
            var rest = bytes[...]
            while rest.count >= 9 {
                let head = Array(rest.prefix(9))
                let length = Int(head[0]) << 16 | Int(head[1]) << 8 | Int(head[2])
                let stream = Int(head[7]) << 8 | Int(head[8])
                let payload = rest.dropFirst(9).prefix(length)
                switch head[3] {
                case 0: answers[stream, default: Answer()].body += String(decoding: payload, as: UTF8.self)
                // Of the static table; any other one is of a table that is not kept here.
                case 1:
                    answers[stream, default: Answer()].status =
                        switch payload.first {
                        case 0x88: "200"
                        case 0x8e: "500"
                        default: "418"
                        }
                default: break
                }
                rest = rest.dropFirst(9 + length)
            }
            return answers
        }

        /// Sends the requests at once, and GOAWAY behind them.
        private static func exchange(_ client: TestClient, _ paths: [String]) async throws -> [Answer] {
            let connection = try await client.connect()
            var frames = Frames()
            frames.append(4, 0, stream: 0, [])
            for (n, path) in paths.enumerated() { frames.appendGet(path, stream: 2 * n + 1) }
            frames.append(7, 0, stream: 0, [0, 0, 0, 0, 0, 0, 0, 0])
            try await connection.send(frames.bytes)
            let answers = read(try await connection.receiveRest())
            return paths.indices.map { answers[2 * $0 + 1] ?? Answer() }
        }

        private static func check(_ form: RequestBatchTests.Form, _ kinds: [[String]]) async throws {
            let record = RequestBatchTests.Record()
            try await withServer(
                await RequestBatchTests.makeServer(record, form), listens: false
            ) { client in
                for kinds in kinds {
                    await MainActor.run { record.begun = [] }
                    let paths = kinds.enumerated().map { "/\($1)/\($0)" }
                    let answers = try await exchange(client, paths)
                    let expected = kinds.enumerated().map { n, kind in
                        form.answers[kind].map { Answer(status: $0.status, body: $0.body("\(n)")) }
                    }
                    let begun = await record.begun
                    #expect(begun == paths, "\(kinds)")
                    #expect(answers == expected, "\(kinds)")
                }
            }
        }

        @Test(arguments: RequestBatchTests.Form.allCases)
        func handlersOfEachKindFollowEachOther(_ form: RequestBatchTests.Form) async throws {
            let all = RequestBatchTests.answers.keys.sorted()
            let pairs = all.flatMap { first in all.map { [first, $0, first, "asks", "sync"] } }
            try await RequestStreamTests.check(form, pairs)
        }

        @Test(arguments: RequestBatchTests.Form.allCases)
        func anyOrder(_ form: RequestBatchTests.Form) async throws {
            let all = RequestBatchTests.answers.keys.sorted()
            let orders = (0..<20).map { _ in (0..<90).map { _ in all.randomElement() ?? "sync" } }
            try await RequestStreamTests.check(form, orders)
        }

        /// The line in the log names the request that has blocked. Requests that are timed are served one by one.
        @Test func slowHandlersAreNamed() async throws {
            let record = RequestBatchTests.Record()
            let server = await RequestBatchTests.makeServer(record, .middleware)
            server.settings.logLevel = .warning
            server.settings.slowHandlerAfter = .milliseconds(5)
            try await withServer(server, listens: false) { client in
                _ = try await RequestStreamTests.exchange(client, ["/async/0", "/blocks/1", "/async/2"])
                let lines = client.log.lines.map(\.message)
                #expect(lines.contains { $0.contains("slow handler") && $0.contains("GET /blocks/1") }, "\(lines)")
            }
        }

        /// Those that wait for others to end, by the limit of requests in progress, are answered, too.
        @Test func requestsThatWaitAreAnswered() async throws {
            let record = RequestBatchTests.Record()
            let server = await RequestBatchTests.makeServer(record, .middleware)
            server.settings.maxConcurrentRequestsPerWorker = 1
            server.settings.maxWaitingRequests = 100
            try await withServer(server, listens: false) { client in
                let kinds = ["async", "later", "sync", "async", "keeps", "async", "later", "async"]
                let answers = try await RequestStreamTests.exchange(client, kinds.enumerated().map { "/\($1)/\($0)" })
                #expect(answers.map(\.status) == kinds.map { _ in "200" })
                #expect(
                    answers.map(\.body) == kinds.enumerated().map { RequestBatchTests.answers[$1]?.body("\($0)") })
            }
        }
    }
}
#endif
