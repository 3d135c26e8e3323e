import Glibc
import Logging
import Metrics
import SwiftServer
import SwiftServerLogging
import SwiftServerMetrics

// A server of several processes whose log lines and metrics go to standard output, where a test reads them.

/// Writes one line, at once.
func output(_ line: String) {
    let bytes = Array("\(line)\n".utf8)
    _ = bytes.withUnsafeBytes { write(1, $0.baseAddress, $0.count) }
}

struct OutputHandler: LogHandler {
    var metadataProvider: Logger.MetadataProvider?
    var metadata = Logger.Metadata()
    var logLevel = Logger.Level.debug

    subscript(metadataKey key: String) -> Logger.MetadataValue? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        output(
            "log \(event.level) [\(event.metadata?["role"].map { "\($0)" } ?? "")] \(event.source): \(event.message)")
    }
}

/// Counters that print what they are incremented by; all other metrics print nothing.
struct OutputFactory: MetricsFactory {
    final class Handler: CounterHandler, MeterHandler, RecorderHandler, TimerHandler {
        let label: String

        init(_ label: String) { self.label = label }

        func increment(by amount: Int64) { output("counter \(label) \(amount)") }
        func increment(by amount: Double) {}
        func decrement(by amount: Double) {}
        func reset() {}
        func set(_ value: Int64) {}
        func set(_ value: Double) {}
        func record(_ value: Int64) {}
        func record(_ value: Double) {}
        func recordNanoseconds(_ duration: Int64) {}
    }

    func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler { Handler(label) }
    func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler { Handler(label) }
    func makeRecorder(label: String, dimensions: [(String, String)], aggregate: Bool) -> any RecorderHandler {
        Handler(label)
    }
    func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler { Handler(label) }
    func destroyCounter(_ handler: any CounterHandler) {}
    func destroyMeter(_ handler: any MeterHandler) {}
    func destroyRecorder(_ handler: any RecorderHandler) {}
    func destroyTimer(_ handler: any TimerHandler) {}
}

MetricsSystem.bootstrap(OutputFactory())
let metrics = try StatisticsMetrics(prefix: "test")
let application = Logger(label: "app") { ServerLogHandler(label: $0) }

let server = HTTPServer(port: 0, mode: CommandLine.arguments.contains("base") ? .base : .process)
server.settings.workerCount = 1
server.settings.logLevel = .debug
server.log(to: Logger(label: "server") { _ in OutputHandler() })
server.onStart { server in output("ready \(server.port)") }
server.onWorkerStart { server, number in
    application.log(level: .info, "worker \(number) starts", metadata: ["pid": "\(server.workerPID)"])
    server.tick(every: .milliseconds(20)) { _ in
        metrics.publish(server.stats())
        output("published by \(server.workerPID)")
    }
}
server.onRequest { request, response in
    if request.path == "/exit" { exit(1) }
    response.end("\(server.workerPID)")
}
server.serve()
