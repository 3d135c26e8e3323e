/// When the system looks whether the peer of an idle connection is still there.
public struct KeepAlive: Sendable, Hashable {
    /// Silence before the first probe.
    public var idle: Duration
    /// Time between the probes.
    public var interval: Duration
    /// So many probes without an answer end the connection.
    public var count: Int

    /// Probes after an hour of silence, each minute, five times, unless something else is said.
    public init(idle: Duration = .seconds(3600), interval: Duration = .seconds(60), count: Int = 5) {
        self.idle = idle
        self.interval = interval
        self.count = count
    }
}
