import Glibc
import SwiftServer
import Synchronization

/// `bench`: measures how fast a server answers, with a fixed number of connections that each wait for their answer
/// before they send again.
struct BenchCommand {
    /// What was measured.
    struct Result: Sendable {
        var latencies = Latencies()
        var failures = 0
        /// The cause of the first failure.
        var cause: String?

        mutating func merge(_ other: Result) {
            latencies.merge(other.latencies)
            failures += other.failures
            cause = cause ?? other.cause
        }
    }

    private let url: String
    private let connections: Int
    private let duration: Double
    private let size: Int
    private let isJSON: Bool
    private let isWebSocket: Bool
    private let progress = Progress()

    /// The time that one answer may take.
    private static let patience = Duration.seconds(10)
    /// A connection that fails this often ends.
    private static let mostFailures = 10

    private final class Progress: Sendable {
        let done = Atomic(0)
    }

    init(_ arguments: Arguments) throws {
        url = arguments.operands[0]
        let scheme = url.prefix { $0 != ":" }.lowercased()
        guard ["ws", "wss", "http", "https"].contains(scheme) else {
            throw Arguments.Mistake(message: "URL must begin with ws:, wss:, http: or https:, got \"\(url)\"")
        }
        isWebSocket = scheme.hasPrefix("ws")
        connections = try arguments.number("connections", 1...1000) ?? 10
        duration = try arguments.seconds("duration", 0.1...3600) ?? 10
        let size = try arguments.number("size", 1...1_000_000)
        guard size == nil || isWebSocket else { throw Arguments.Mistake(message: "--size needs a ws: or wss: URL") }
        self.size = size ?? 32
        isJSON = arguments.has("json")
    }

    func run() async throws {
        let start = ContinuousClock.now
        let end = start + .seconds(duration)
        let shows = isatty(2) == 1 && !isJSON
        let reporter = Task {
            while shows, !Task.isCancelled {
                try? await Task.sleep(for: .milliseconds(200))
                if Task.isCancelled { break }
                let (seconds, done) = (
                    (ContinuousClock.now - start) / .seconds(1), progress.done.load(ordering: .relaxed)
                )
                let line = "\(Amount.short(min(seconds, duration))) of \(Amount.short(duration)) s  \(done) answers"
                Output.progress("\(line), \(Amount.count(Double(done) / max(seconds, 0.001)))/s")
            }
        }
        let http = HTTPClient {
            $0.maxConnectionsPerOrigin = connections
            $0.maxRedirects = 0
            $0.timeout = BenchCommand.patience
        }
        let result = await withTaskGroup(of: Result.self) { group in
            for _ in 0..<connections {
                group.addTask { isWebSocket ? await echo(until: end) : await request(http, until: end) }
            }
            return await group.reduce(into: Result()) { $0.merge($1) }
        }
        let elapsed = (ContinuousClock.now - start) / .seconds(1)
        reporter.cancel()
        if shows { Output.progress("") }
        guard result.latencies.count > 0 else {
            throw Failure(.failed, "no answer from \(url): \(result.cause ?? "the time was too short")")
        }
        Output.write((isJSON ? [json(result, elapsed)] : text(result, elapsed)).map { $0 + "\n" }.joined())
        if result.failures > 0 {
            throw Failure(.failed, "\(result.failures) failed, the first one with: \(result.cause ?? "")")
        }
    }

    // MARK: Measuring

    /// One answer after the other, until `end`, or until too many have failed. `step` returns when it has sent.
    private func measure(
        until end: ContinuousClock.Instant, _ step: () async throws -> ContinuousClock.Instant
    ) async -> Result {
        var result = Result()
        while ContinuousClock.now < end, result.failures < BenchCommand.mostFailures {
            do {
                let start = try await step()
                result.latencies.add((ContinuousClock.now - start) / .seconds(1))
                progress.done.add(1, ordering: .relaxed)
            } catch {
                result.failures += 1
                result.cause = result.cause ?? BenchCommand.cause(error)
            }
        }
        return result
    }

    private func echo(until end: ContinuousClock.Instant) async -> Result {
        let message = [UInt8](repeating: UInt8(ascii: "x"), count: size)
        var client: WebSocketClient?
        let result = await measure(until: end) {
            do {
                let open: WebSocketClient
                if let client {
                    open = client
                } else {
                    open = try await WebSocketClient.connect(url)
                    client = open
                }
                let start = ContinuousClock.now
                try await open.push(message, opcode: .text)
                // A server may send a greeting and the like.
                while true {
                    guard let frame = try await open.recv(timeout: BenchCommand.patience) else {
                        throw Failure(
                            .failed,
                            await open.closeReason.map { Text.visible($0.description) } ?? "the connection was closed")
                    }
                    if frame.bytes == message { return start }
                }
            } catch {
                client = nil
                throw error
            }
        }
        try? await client?.close()
        return result
    }

    private func request(_ http: HTTPClient, until end: ContinuousClock.Instant) async -> Result {
        await measure(until: end) {
            let start = ContinuousClock.now
            let response = try await http.get(url)
            for try await _ in response.body {}
            guard (200...399).contains(response.status) else {
                throw Failure(.failed, "status \(response.status)")
            }
            return start
        }
    }

    private static func cause(_ error: any Error) -> String {
        switch error {
        case let error as ClientError: Text.visible(error.message)
        case let failure as Failure: failure.message
        default: "\(error)"
        }
    }

    // MARK: Output

    private static let shares = [0.5, 0.9, 0.99, 0.999]

    func text(_ result: Result, _ elapsed: Double) -> [String] {
        let latencies = result.latencies
        let what = isWebSocket ? "echo of \(Amount.bytes(Double(size)))" : "GET"
        let shares = BenchCommand.shares.map { "\(Amount.short($0 * 100))% \(Amount.time(latencies.quantile($0)))" }
        return [
            "\(what), \(connections) connections, \(Amount.short(elapsed)) s",
            "answers      \(latencies.count) (\(Amount.count(Double(latencies.count) / elapsed))/s), \(result.failures) failed",
            "time         min \(Amount.time(latencies.least)), mean \(Amount.time(latencies.mean)), max \(Amount.time(latencies.most))",
            "percentiles  \(shares.joined(separator: ", "))", "",
        ] + latencies.bars(width: 40)
    }

    func json(_ result: Result, _ elapsed: Double) -> String {
        let latencies = result.latencies
        let shares = BenchCommand.shares.map { "\"\(Amount.short($0 * 100))\": \(latencies.quantile($0))" }
        return """
            {"seconds": \(elapsed), "connections": \(connections), "answers": \(latencies.count), \
            "failures": \(result.failures), "perSecond": \(Double(latencies.count) / elapsed), \
            "min": \(latencies.least), "mean": \(latencies.mean), "max": \(latencies.most), \
            "percentiles": {\(shares.joined(separator: ", "))}}
            """
    }
}

extension Output {
    /// Replaces the line of a terminal.
    static func progress(_ line: String) { write(Array("\r\u{1b}[K\(line)".utf8), to: 2) }
}
