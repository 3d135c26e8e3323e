#if Metrics
public import Metrics
public import SwiftServer

/// Publishes the statistics of a server as metrics of swift-metrics.
///
/// ```swift
/// MetricsSystem.bootstrap(factory)
/// let metrics = try StatisticsMetrics()
/// server.onWorkerStart { server, number in
///     if number == 0 { metrics.publish(server, every: .seconds(10)) }
/// }
/// ```
///
/// The statistics are those of all processes together, so one worker publishes them. What was published is noted in
/// memory that the processes share: when that worker is replaced, its successor continues the counters, and several
/// workers that publish share them among each other.
///
/// Counters, as of ``SwiftServer/ServerStatistics``: `accepted`, `refused`, `closed` with the dimension `cause`,
/// `messages_received`, `messages_sent`, `messages_skipped`, `requests`, `responses`, `requests_refused`,
/// `bytes_received`, `bytes_sent`, `connections_shed`, `accept_pauses`, `tasks_done`, `stale_commands`,
/// `values_repaired`, `loop_turns`, `http2_connections`, `http2_streams`, `http2_streams_refused`,
/// `http2_streams_reset`, `http2_streams_stalled` and `http2_limits_exceeded`. Meters: `http2_open_connections`,
/// `http2_open_streams`, `connections`, `requests_in_progress`, `requests_waiting`, `queued_bytes`,
/// `unfinished_bytes`, `transit_bytes`, `idle_workers`, `idle_task_workers`, `tasks_waiting`,
/// `loop_lag_average_seconds` and `loop_lag_longest_seconds`. All labels begin with the prefix and a dot.
@MainActor public final class StatisticsMetrics {
    private let prefix: String
    private let factory: (any MetricsFactory)?
    /// The total of each counter that was published.
    private let published: SharedTable
    private nonisolated static let total = SharedColumn<Int>("total")
    /// The metrics of this process, made when they are published for the first time.
    private var metrics: MetricsByLabel?

    /// Make it before ``SwiftServer/Server/start()``.
    ///
    /// - Parameters:
    ///   - prefix: the first part of all labels.
    ///   - factory: the factory that makes the metrics; `nil`: the one of `MetricsSystem` when they are published for
    ///     the first time.
    /// - Throws: ``SwiftServer/SharedMemoryError`` when the system refuses the memory.
    public nonisolated init(
        prefix: String = "swiftserver", factory: (any MetricsFactory)? = nil
    ) throws(SharedMemoryError) {
        self.prefix = prefix
        self.factory = factory
        published = try SharedTable(rows: 64, columns: StatisticsMetrics.total)
    }

    /// Publishes the statistics of `server` at an interval, beginning after the first one, until the worker ends or the
    /// timer is cleared.
    ///
    /// - Returns: the timer, or ``SwiftServer/TimerID/invalid`` when there are none in this process: call it in
    ///   `onWorkerStart`.
    @discardableResult
    public func publish(_ server: Server, every interval: Duration) -> TimerID {
        server.tick(every: interval) { [unowned server] _ in self.publish(server.stats()) }
    }

    /// Publishes these statistics now.
    public func publish(_ statistics: ServerStatistics) {
        let metrics = metrics ?? MetricsByLabel(prefix: prefix, factory: factory ?? MetricsSystem.factory)
        self.metrics = metrics
        for item in StatisticsMetrics.counters {
            count(item.label, metrics.counter(item.label), item.value(statistics))
        }
        for (cause, value) in statistics.closedBy {
            count("closed: \(cause)", metrics.counter("closed", [("cause", "\(cause)")]), value)
        }
        for item in StatisticsMetrics.meters { metrics.meter(item.label).set(item.value(statistics)) }
    }

    /// Increments a counter by what was added to its total since that was published, by whichever process.
    private func count(_ name: String, _ counter: Counter, _ value: Int) {
        // It fails only when rows are missing, and there are more than counters.
        let added = try? published.update(name, insert: true) { row in
            let before = row[StatisticsMetrics.total]
            row[StatisticsMetrics.total] = max(before, value)
            return value - before
        }
        if let added, added > 0 { counter.increment(by: added) }
    }

    private static let counters: [(label: String, value: (ServerStatistics) -> Int)] = [
        ("accepted", \.accepted), ("refused", \.refused), ("accept_pauses", \.acceptPauses),
        ("connections_shed", \.connectionsShed), ("messages_received", \.messagesReceived),
        ("messages_sent", \.messagesSent), ("messages_skipped", \.messagesSkipped), ("requests", \.requests),
        ("responses", \.responses), ("requests_refused", \.requestsRefused), ("bytes_received", \.bytesReceived),
        ("bytes_sent", \.bytesSent),
        ("tasks_done", \.tasksDone), ("stale_commands", \.staleCommands), ("values_repaired", \.valuesRepaired),
        ("loop_turns", \.loopLag.turns), ("http2_connections", \.http2.connections),
        ("http2_streams", \.http2.streams), ("http2_streams_refused", \.http2.streamsRefused),
        ("http2_streams_reset", \.http2.streamsReset), ("http2_streams_stalled", \.http2.streamsStalled),
        ("http2_limits_exceeded", \.http2.limitsExceeded),
    ]

    private static let meters: [(label: String, value: (ServerStatistics) -> Double)] = [
        ("connections", { Double($0.connections) }), ("queued_bytes", { Double($0.queuedBytes) }),
        ("requests_in_progress", { Double($0.requestsInProgress) }),
        ("requests_waiting", { Double($0.requestsWaiting) }),
        ("unfinished_bytes", { Double($0.unfinishedBytes) }), ("transit_bytes", { Double($0.transitBytes) }),
        ("idle_workers", { Double($0.idleWorkers) }),
        ("idle_task_workers", { Double($0.idleTaskWorkers) }), ("tasks_waiting", { Double($0.tasksWaiting) }),
        ("http2_open_connections", { Double($0.http2.openConnections) }),
        ("http2_open_streams", { Double($0.http2.openStreams) }),
        ("loop_lag_average_seconds", { $0.loopLag.average / .seconds(1) }),
        ("loop_lag_longest_seconds", { $0.loopLag.longest / .seconds(1) }),
    ]
}

/// The metrics of one process by their labels.
private final class MetricsByLabel {
    private let prefix: String
    private let factory: any MetricsFactory
    private var counters: [String: Counter] = [:]
    private var meters: [String: Meter] = [:]

    init(prefix: String, factory: any MetricsFactory) {
        self.prefix = prefix
        self.factory = factory
    }

    func counter(_ label: String, _ dimensions: [(String, String)] = []) -> Counter {
        let key = dimensions.reduce(label) { "\($0) \($1.1)" }
        if let counter = counters[key] { return counter }
        let counter = Counter(label: "\(prefix).\(label)", dimensions: dimensions, factory: factory)
        counters[key] = counter
        return counter
    }

    func meter(_ label: String) -> Meter {
        if let meter = meters[label] { return meter }
        let meter = Meter(label: "\(prefix).\(label)", factory: factory)
        meters[label] = meter
        return meter
    }
}
#endif
