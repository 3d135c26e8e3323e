internal import CReactor
internal import CReactorInternal
internal import Glibc

/// Settings in the form of the C core.
extension Settings {
    func reactors(mode: ServerMode) -> Int {
        guard mode == .process else { return 0 }
        return reactorCount ?? min(workerCount, Settings.defaultWorkers, 8)
    }

    /// The size of the largest record: a message, or a request with its head.
    private var largestRecord: Int {
        max(maxMessage, maxBody + maxHead + Int(CRE_TLS_MAX_CERTIFICATE), maxTask) + 4096
    }

    /// The number of requests one worker may serve, with its random share; 0: any number.
    var requestQuota: Int { Settings.quota(maxRequests, maxRequestsGrace) }
    /// The number of tasks one task worker may run.
    var taskQuota: Int { Settings.quota(maxTasks, maxTasksGrace) }

    /// How many requests or tasks are at most added to a limit at random.
    static func grace(_ limit: Int, _ grace: Int?) -> Int { grace ?? (limit > 10 ? limit / 2 : 0) }

    /// The time limit of a stop, from its request.
    var stopLimit: Duration { drainDelay + shutdownTimeout }

    var effectiveHighWatermark: Int { highWatermark ?? maxQueue / 2 }
    var effectiveLowWatermark: Int { lowWatermark ?? effectiveHighWatermark / 4 }

    /// Twice the interval of the checks, when only that is set.
    var effectiveIdleTime: Duration? { heartbeatIdleTime ?? heartbeatCheckInterval.map { $0 * 2 } }

    /// These settings with the values of those that depend on others, on the mode or on the machine.
    func effective(mode: ServerMode) -> Settings {
        var all = self
        if mode == .single { all.workerCount = 1 }
        all.reactorCount = reactors(mode: mode)
        all.maxRequestsGrace = Settings.grace(maxRequests, maxRequestsGrace)
        all.maxTasksGrace = Settings.grace(maxTasks, maxTasksGrace)
        all.highWatermark = effectiveHighWatermark
        all.lowWatermark = effectiveLowWatermark
        all.memoryBudget = effectiveMemoryBudget
        all.heartbeatIdleTime = effectiveIdleTime
        all.pongTimeout = pongTimeout ?? pingInterval
        return all
    }

    private var effectiveMemoryBudget: Int { memoryBudget ?? Int(clamping: cre_process_memory() / 4) }

    private static func quota(_ count: Int, _ grace: Int?) -> Int {
        let grace = Settings.grace(count, grace)
        return count == 0 || grace == 0 ? count : count + Int.random(in: 1...grace)
    }

    func busConfig(nodes: Int, largestPacket: Int = 0) -> cre_bus_config {
        let largestRecord = max(self.largestRecord, largestPacket + 4096)
        return cre_bus_config(
            nodes: UInt32(nodes),
            ring_bytes: UInt32(ringSize),
            connections: UInt32(maxConnections),
            queue_bytes: UInt32(Swift.max(8 << 20, largestRecord * 2)),
            max_payload: UInt32(max(maxQueue * 2 + 131_072, largestRecord)),
            spin_ns: UInt32(spin.nanoseconds),
            arena_bytes: 0,
            backlog_bytes: 0,
            journal_bytes: 0
        )
    }

    /// Returns the configuration of an engine. Its pointers are never freed: the engine borrows them for the life of
    /// the process.
    func engineConfig(servesHTTP: Bool) -> cre_engine_config {
        var config = unsafe cre_engine_config()
        unsafe config.size = MemoryLayout<cre_engine_config>.size
        unsafe config.http = servesHTTP
        unsafe config.max_pipelined = UInt16(CRE_MAX_PIPELINED)
        unsafe config.max_message = UInt64(maxMessage)
        unsafe config.max_head = UInt32(maxHead)
        unsafe config.max_body = UInt32(maxBody)
        unsafe config.max_queue = UInt32(maxQueue)
        unsafe config.high_water = UInt32(effectiveHighWatermark)
        unsafe config.low_water = UInt32(effectiveLowWatermark)
        unsafe config.read_when_full = readsWhenFull
        unsafe config.memory_budget = UInt64(effectiveMemoryBudget)
        unsafe config.subprotocols = Settings.cStrings(subprotocols)
        unsafe config.origins = Settings.cStrings(allowedOrigins)
        if let compression {
            let deflate = UnsafeMutablePointer<cre_ws_deflate_config>.allocate(capacity: 1)
            unsafe deflate.initialize(to: compression.config)
            unsafe config.deflate = UnsafePointer(deflate)
        }
        unsafe config.max_per_address = UInt32(maxConnectionsPerAddress)
        let idle = effectiveIdleTime
        unsafe config.heartbeat_idle_ms = UInt32(idle?.milliseconds ?? 0)
        unsafe config.heartbeat_check_ms = UInt32(heartbeatCheckInterval?.milliseconds ?? 0)
        unsafe config.ping_interval_ms = UInt32(pingInterval?.milliseconds ?? 0)
        unsafe config.pong_timeout_ms = UInt32(pongTimeout?.milliseconds ?? 0)
        unsafe config.close_slow = slowReceivers == .close
        unsafe config.max_topics = UInt32(maxTopics)
        unsafe config.max_subscriptions = UInt32(maxSubscriptions)
        unsafe config.head_timeout_ms = UInt32(headTimeout.milliseconds)
        unsafe config.body_timeout_ms = UInt32(bodyTimeout.milliseconds)
        unsafe config.message_timeout_ms = UInt32(messageTimeout.milliseconds)
        unsafe config.idle_timeout_ms = UInt32(idleTimeout.milliseconds)
        unsafe config.close_timeout_ms = UInt32(closeTimeout.milliseconds)
        unsafe config.shutdown_spread_ms = UInt32(drainSpread.milliseconds)
        unsafe config.shutdown_code = shutdownCode
        return unsafe config
    }

    /// Returns a NULL-terminated array of C strings, which is never freed; NULL for `nil`.
    private static func cStrings(_ strings: [String]?) -> UnsafePointer<UnsafePointer<CChar>?>? {
        guard let strings else { return nil }
        let array = UnsafeMutablePointer<UnsafePointer<CChar>?>.allocate(capacity: strings.count + 1)
        for (index, string) in strings.enumerated() { unsafe array[index] = UnsafePointer(strdup(string)) }
        unsafe array[strings.count] = nil
        return unsafe UnsafePointer(array)
    }
}
