import FoundationEssentials
import Glibc
import SwiftServer

/// The commands that use the control socket of a server.
struct SocketCommands {
    private let arguments: Arguments
    let client: ControlClient
    private var isJSON: Bool { arguments.has("json") }

    /// The largest text of a message, which must fit the body of a request also with escapes.
    private static let maxText = 150_000
    private static let longestWait = 0.0...86_400

    init(_ arguments: Arguments) throws {
        let variable = unsafe getenv(Command.socketVariable).map { unsafe String(cString: $0) }
        guard let path = arguments["socket"] ?? variable, !path.isEmpty else {
            throw Failure(
                .usage, "the control socket is not known: give --socket PATH, or set \(Command.socketVariable)")
        }
        self.arguments = arguments
        client = ControlClient(path: path)
    }

    func status() async throws {
        let body = try await client.send("GET", "/status")
        if isJSON { return Output.write(String(decoding: body, as: UTF8.self)) }
        show(Report.status(try client.decode(Status.self, body)))
    }

    func topics() async throws {
        var query = ["limit=\(try arguments.number("limit", 1...200) ?? 100)"]
        if let filter = arguments.operands.first { query.append("filter=\(encoded(filter))") }
        let body = try await client.send("GET", "/topics?\(query.joined(separator: "&"))")
        if isJSON { return Output.write(String(decoding: body, as: UTF8.self)) }
        let list = try client.decode(TopicList.self, body)
        show(Report.topics(list))
        let silent = list.processes.filter { !$0.answered }.map { Text.visible($0.name) }
        if !silent.isEmpty {
            Output.error("the topics of \(silent.joined(separator: ", ")) are missing, since a handler blocks it")
        } else if !list.complete {
            Output.error("there are more topics; FILTER and --limit choose others")
        }
    }

    func publish() async throws {
        var text = arguments.operands[arguments.operands.count - 1]
        if text == "-" {
            guard let input = Output.input(limit: SocketCommands.maxText),
                let valid = String(validating: input, as: UTF8.self)
            else { throw Failure(.failed, "standard input must be UTF-8 of at most \(SocketCommands.maxText) bytes") }
            text = valid
        }
        var body: [String: ControlClient.Member] = ["text": .text(text)]
        if !arguments.has("all") { body["topic"] = .text(arguments.operands[0]) }
        done(try await client.send("POST", "/publish", body))
    }

    func logLevel() async throws {
        let body = try await client.send("PUT", "/log-level", ["level": .text(arguments.operands[0])])
        if isJSON { return Output.write(String(decoding: body, as: UTF8.self)) }
        let result = try client.decode(LevelResult.self, body)
        Output.line("log level \(result.before) -> \(result.level)")
    }

    // MARK: Reload and stop

    func reload() async throws {
        let limit = try arguments.seconds("wait", SocketCommands.longestWait)
        let before = try await client.status().reloads
        let body = try await client.send(
            "POST", "/reload", arguments.has("only-task-workers") ? ["onlyTaskWorkers": true] : [:])
        guard let limit else { return done(body) }
        try await wait(limit, "the reload has not ended after") {
            let status = try await client.status()
            guard !status.reloading, status.reloads.begun > before.begun else { return false }
            guard status.reloads.aborted == before.aborted else {
                throw Failure(.failed, "the reload was aborted; the log of the server has the cause")
            }
            return true
        }
        done(body)
    }

    func stop() async throws {
        let limit = try arguments.seconds("wait", SocketCommands.longestWait)
        let body = try await client.send("POST", "/stop")
        guard let limit else { return done(body) }
        try await wait(limit, "the server has not ended after") {
            do {
                _ = try await client.status()
                return false
            } catch let failure as Failure where failure.kind == .noServer {
                return true
            } catch is Failure {
                return false  // it may end while it answers
            }
        }
        done(body)
    }

    private func wait(_ limit: Double, _ what: String, _ isOver: () async throws -> Bool) async throws {
        let end = ContinuousClock.now + .seconds(limit)
        while try await !isOver() {
            guard ContinuousClock.now < end else {
                throw Failure(.failed, "\(what) \(Amount.short(limit)) seconds")
            }
            try await Task.sleep(for: .milliseconds(100))
        }
    }

    // MARK: Connections

    private static let filters = ["port", "state", "worker", "user", "address", "idle", "queued"]

    func connections() async throws {
        let filters = SocketCommands.filters.compactMap { name in arguments[name].map { "\(name)=\(encoded($0))" } }
        let limit = try arguments.number("limit", 1...1_000_000)
        if arguments.has("close") {
            guard arguments.has("all") != !filters.isEmpty else {
                throw Arguments.Mistake(message: "--close needs filters, or --all")
            }
            return try await close(filters, limit ?? .max)
        }
        for name in ["all", "code", "reason"] where arguments.has(name) || arguments[name] != nil {
            throw Arguments.Mistake(message: "--\(name) needs --close")
        }
        let found = try await list(filters, limit ?? 100)
        if isJSON {
            return Output.write("[\(found.map { String(decoding: $0.json, as: UTF8.self) }.joined(separator: ","))]\n")
        }
        show(Report.connections(found.flatMap(\.connections)))
        if found.last?.hasMore == true { Output.error("there are more; --limit lists more of them") }
    }

    /// A page of a list.
    private struct Page {
        let connections: [ConnectionList.Connection]
        let json: [UInt8]
        let hasMore: Bool
    }

    private func list(_ filters: [String], _ limit: Int) async throws -> [Page] {
        var pages: [Page] = []
        var (count, next): (Int, UInt32?) = (0, 0)
        while count < limit, let after = next {
            let query = filters + ["limit=\(min(1000, limit - count))", "after=\(after)"]
            let body = try await client.send("GET", "/connections?\(query.joined(separator: "&"))")
            let list = try client.decode(ConnectionList.self, body)
            pages.append(Page(connections: list.connections, json: body, hasMore: list.next != nil))
            (count, next) = (count + list.connections.count, list.next)
        }
        return pages
    }

    private func close(_ filters: [String], _ limit: Int) async throws {
        let code = try arguments.number("code", 1000...4999)
        var rest = try await list(filters, limit).flatMap(\.connections).map(\.id)[...]
        var total = CloseResult()
        while !rest.isEmpty {
            var body: [String: ControlClient.Member] = ["ids": .texts(Array(rest.prefix(1000)))]
            if let code { body["code"] = .number(code) }
            if let reason = arguments["reason"] { body["reason"] = .text(reason) }
            let answer = try await client.send("POST", "/connections/close", body)
            let result = try client.decode(CloseResult.self, answer)
            total.closing += result.closing
            total.gone += result.gone
            total.failed += result.failed
            rest = rest.dropFirst(1000)
        }
        if isJSON {
            Output.line(String(decoding: try JSONEncoder().encode(total), as: UTF8.self))
        } else {
            let before = total.gone == 0 ? "" : ", \(total.gone) had been closed before"
            Output.line("connections being closed: \(total.closing)\(before)")
        }
        if total.failed > 0 { throw Failure(.failed, "\(total.failed) connections could not be closed") }
    }

    /// A value in a query.
    private func encoded(_ text: String) -> String {
        let digits = Array("0123456789ABCDEF")
        return text.utf8.map { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."):
                String(UnicodeScalar(byte))
            default: "%\(digits[Int(byte >> 4)])\(digits[Int(byte & 15)])"
            }
        }.joined()
    }

    // MARK: Output

    private func show(_ lines: [String]) { Output.write(lines.map { $0 + "\n" }.joined()) }

    /// Success without more to show.
    private func done(_ body: [UInt8]) {
        if isJSON { Output.write(String(decoding: body, as: UTF8.self)) }
    }
}
