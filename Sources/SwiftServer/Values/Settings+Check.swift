extension Settings {
    /// Throws an error that names the first invalid setting.
    func check(mode: ServerMode) throws(ServerError) {
        func require(_ good: Bool, _ message: @autoclosure () -> String) throws(ServerError) {
            if !good { throw ServerError(code: .invalidSetting, message: message()) }
        }
        try require((1...512).contains(workerCount), "workerCount must be 1...512, got \(workerCount)")
        if let reactorCount {
            try require((1...256).contains(reactorCount), "reactorCount must be 1...256, got \(reactorCount)")
        }
        try require(
            (1...1 << 24).contains(maxConnections), "maxConnections must be 1...16,777,216, got \(maxConnections)")
        for (name, value) in [("maxMessage", maxMessage), ("maxBody", maxBody), ("maxQueue", maxQueue)] {
            try require((1024...1 << 28).contains(value), "\(name) must be 1 KiB to 256 MiB, got \(value) bytes")
        }
        try require(
            (1...maxQueue).contains(effectiveHighWatermark),
            "highWatermark must be 1...\(maxQueue) bytes (maxQueue), got \(effectiveHighWatermark)")
        try require(
            (0..<effectiveHighWatermark).contains(effectiveLowWatermark),
            "lowWatermark must be less than highWatermark (\(effectiveHighWatermark) bytes), got \(effectiveLowWatermark)"
        )
        if let memoryBudget {
            try require(
                memoryBudget >= maxQueue,
                "memoryBudget must be at least maxQueue (\(maxQueue) bytes), got \(memoryBudget)")
        }
        if let maxStreamedBody {
            try require(maxStreamedBody >= 1024, "maxStreamedBody must be 1 KiB or more, got \(maxStreamedBody) bytes")
        }
        if let uploadDirectory {
            try require(
                !uploadDirectory.isEmpty && !uploadDirectory.utf8.contains(0),
                "uploadDirectory must be the path of a directory, got \"\(uploadDirectory)\"")
        }
        for (name, value) in [("maxTopics", maxTopics), ("maxSubscriptions", maxSubscriptions)] {
            try require((1...1 << 24).contains(value), "\(name) must be 1...16,777,216, got \(value)")
        }
        try require((256...65_535).contains(maxHead), "maxHead must be 256...65,535 bytes, got \(maxHead)")
        for (name, value) in [
            ("headTimeout", headTimeout), ("bodyTimeout", bodyTimeout), ("messageTimeout", messageTimeout),
            ("idleTimeout", idleTimeout), ("closeTimeout", closeTimeout), ("shutdownTimeout", shutdownTimeout),
        ] {
            try require(
                value >= .milliseconds(1) && value <= .seconds(86_400), "\(name) must be 1 ms to 1 day, got \(value)")
        }
        for (name, value) in [
            ("heartbeatIdleTime", heartbeatIdleTime), ("heartbeatCheckInterval", heartbeatCheckInterval),
            ("pingInterval", pingInterval), ("pongTimeout", pongTimeout), ("requestTimeout", requestTimeout),
        ] {
            guard let value else { continue }
            try require(
                value >= .milliseconds(1) && value <= .seconds(86_400), "\(name) must be 1 ms to 1 day, got \(value)")
        }
        try require(pongTimeout == nil || pingInterval != nil, "pongTimeout needs a pingInterval")
        try require(
            (0...1 << 24).contains(maxConnectionsPerAddress),
            "maxConnectionsPerAddress must be 0...16,777,216, got \(maxConnectionsPerAddress)")
        for (name, value) in [
            ("maxConcurrentRequests", maxConcurrentRequests),
            ("maxConcurrentRequestsPerWorker", maxConcurrentRequestsPerWorker),
        ] {
            guard let value else { continue }
            try require((1...1 << 24).contains(value), "\(name) must be 1...16,777,216, got \(value)")
        }
        try require(
            (0...65_536).contains(maxWaitingRequests),
            "maxWaitingRequests must be 0...65,536, got \(maxWaitingRequests)")
        _ = try TrustedProxies(self)
        try compression?.check()
        try compressResponses?.check("compressResponses")
        try checkProcesses()
        for name in subprotocols {
            try require(
                !name.isEmpty && name.utf8.count <= 200 && name.utf8.allSatisfy(Settings.isToken),
                "subprotocols: \"\(name)\" is not a token of 1...200 characters")
        }
        try require((0...512).contains(taskWorkerCount), "taskWorkerCount must be 0...512, got \(taskWorkerCount)")
        try require((1024...1 << 28).contains(maxTask), "maxTask must be 1 KiB to 256 MiB, got \(maxTask) bytes")
        for (name, value) in [
            ("maxRequests", maxRequests), ("maxRequestsGrace", maxRequestsGrace ?? 0), ("maxTasks", maxTasks),
            ("maxTasksGrace", maxTasksGrace ?? 0),
        ] {
            try require((0...1 << 40).contains(value), "\(name) must be 0...2^40, got \(value)")
        }
        for (name, value) in [("stuckAfter", stuckAfter), ("taskTimeout", taskTimeout)] {
            guard let value else { continue }
            try require(
                value >= .milliseconds(10) && value <= .seconds(86_400), "\(name) must be 10 ms to 1 day, got \(value)")
        }
        if let slowHandlerAfter {
            try require(
                slowHandlerAfter >= .milliseconds(1) && slowHandlerAfter <= .seconds(86_400),
                "slowHandlerAfter must be 1 ms to 1 day, got \(slowHandlerAfter)")
        }
        try require(
            drainDelay >= .zero && drainDelay <= .seconds(86_400), "drainDelay must be 0 to 1 day, got \(drainDelay)")
        try require(
            drainSpread >= .zero && drainSpread <= shutdownTimeout / 2,
            "drainSpread must be 0 to half of shutdownTimeout (\(shutdownTimeout / 2)), got \(drainSpread)")
        try require(
            [1001, 1012, 1013].contains(shutdownCode) || (3000...4999).contains(shutdownCode),
            "shutdownCode must be 1001, 1012, 1013 or 3000...4999, got \(shutdownCode)")
        if let monitoringPort {
            try require(
                (0...65_535).contains(monitoringPort), "monitoringPort must be 0...65,535, got \(monitoringPort)")
        }
        if let monitoringToken {
            // Not the value: it is a secret, and errors are logged.
            let isVisible = monitoringToken.utf8.allSatisfy { (0x21...0x7e).contains($0) }
            try require(
                isVisible && (16...256).contains(monitoringToken.utf8.count),
                "monitoringToken must be 16 to 256 visible ASCII characters, got "
                    + (isVisible ? "\(monitoringToken.utf8.count)" : "others"))
        }
        if let controlSocket {
            try require(
                !controlSocket.isEmpty && !controlSocket.utf8.contains(0) && !controlSocket.hasPrefix("@"),
                "controlSocket must be the path of a file, got \"\(controlSocket)\"")
        }
        try require(
            (1...0o777).contains(controlSocketPermissions),
            "controlSocketPermissions must be 0o001...0o777, got 0o\(String(controlSocketPermissions, radix: 8))")
        try require((1...65_535).contains(backlog), "backlog must be 1...65,535, got \(backlog)")
        try require(
            (4096...1 << 28).contains(ringSize) && ringSize & (ringSize - 1) == 0,
            "ringSize must be a power of two from 4,096 to 256 MiB, got \(ringSize)")
        try require(spin >= .zero && spin <= .milliseconds(1), "spin must be 0 to 1 ms, got \(spin)")
        try checkUse(mode: mode)
    }

    private func checkProcesses() throws(ServerError) {
        guard cpuAffinity || cpuAffinityIgnore.isEmpty else { throw .setting("cpuAffinityIgnore needs cpuAffinity") }
    }

    /// Whether `byte` may be part of a token (RFC 9110 section 5.6.2).
    private static func isToken(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }
}
