/// Probes by which the system detects that the peer of an idle connection is gone (SO_KEEPALIVE).
public struct KeepAlive: Sendable, Hashable {
    /// The silence before the first probe.
    public var idle: Duration
    /// The time between probes.
    public var interval: Duration
    /// The number of probes without a response after which the connection is closed.
    public var count: Int

    /// Makes probes after an hour of silence, each minute, five times, by default.
    public init(idle: Duration = .seconds(3600), interval: Duration = .seconds(60), count: Int = 5) {
        self.idle = idle
        self.interval = interval
        self.count = count
    }
}
