/// One option: what its value must be, in words, and what it sets. False when the value is of another kind.
struct PeerOption: Sendable {
    let kind: String
    let set: @Sendable (inout OptionDraft, OptionValue) -> Bool
}

extension OptionDraft {
    private typealias Path<Value> = WritableKeyPath<OptionDraft, Value> & Sendable

    private static func option<Value>(
        _ kind: String, _ path: any Path<Value>, _ read: @escaping @Sendable (OptionValue) -> Value?
    ) -> PeerOption {
        PeerOption(kind: kind) { draft, value in
            guard let value = read(value) else { return false }
            draft[keyPath: path] = value
            return true
        }
    }

    /// The same for what may be left unset.
    private static func optional<Value>(
        _ kind: String, _ path: any Path<Value?>, _ read: @escaping @Sendable (OptionValue) -> Value?
    ) -> PeerOption {
        PeerOption(kind: kind) { draft, value in
            guard let value = read(value) else { return false }
            draft[keyPath: path] = value
            return true
        }
    }

    private static let number = "a whole number"
    private static let yesOrNo = "true or false"
    private static let seconds = "seconds"
    private static let bytes = "bytes, like 2097152 or \"2M\""
    private static func int(_ path: any Path<Int>) -> PeerOption { option(number, path) { $0.asInt } }
    private static func int(_ path: any Path<Int?>) -> PeerOption { optional(number, path) { $0.asInt } }
    private static func bool(_ path: any Path<Bool>) -> PeerOption { option(yesOrNo, path) { $0.asBool } }
    private static func bool(_ path: any Path<Bool?>) -> PeerOption { optional(yesOrNo, path) { $0.asBool } }
    private static func text(_ path: any Path<String?>) -> PeerOption { optional("text", path) { $0.asText } }
    private static func time(_ path: any Path<Duration>) -> PeerOption { option(seconds, path) { $0.asSeconds } }
    private static func time(_ path: any Path<Duration?>) -> PeerOption { optional(seconds, path) { $0.asSeconds } }
    private static func size(_ path: any Path<Int>) -> PeerOption { option(bytes, path) { $0.asSize } }
    private static func size(_ path: any Path<Int?>) -> PeerOption { optional(bytes, path) { $0.asSize } }

    /// All that there are, by name.
    static let options: [String: PeerOption] = [
        "worker_num": int(\.settings.workerCount),
        "reactor_num": int(\.settings.reactorCount),
        "task_worker_num": int(\.settings.taskWorkerCount),
        "max_request": int(\.settings.maxRequests),
        "max_request_grace": int(\.settings.maxRequestsGrace),
        "task_max_request": int(\.settings.maxTasks),
        "task_max_request_grace": int(\.settings.maxTasksGrace),
        "max_connection": int(\.settings.maxConnections),
        "max_conn": int(\.settings.maxConnections),
        "max_wait_time": time(\.settings.shutdownTimeout),
        "dispatch_mode": PeerOption(
            kind: "1 (in turn), 2 (by connection), 3 (idle first), 4 (by address) or 5 (by user)"
        ) {
            let modes: [OptionValue: Dispatch] = [
                1: .roundRobin, 2: .byConnection, 3: .idleFirst, 4: .byAddress, 5: .byUser,
            ]
            guard let mode = modes[$1] else { return false }
            $0.settings.dispatch = mode
            return true
        },
        "daemonize": bool(\.settings.daemonize),
        "pid_file": text(\.settings.pidFile),
        "log_file": text(\.settings.logFile),
        "log_level": option("0 (everything) to 6 (nothing)", \.settings.logLevel) {
            let levels: [LogLevel] = [.debug, .debug, .notice, .notice, .warning, .error, .none]
            return $0.asInt.flatMap { levels.indices.contains($0) ? levels[$0] : nil }
        },
        "stats_file": text(\.settings.statsFile),
        "user": text(\.settings.user),
        "group": text(\.settings.group),
        "chroot": text(\.settings.chroot),
        "open_cpu_affinity": bool(\.settings.cpuAffinity),
        "cpu_affinity_ignore": option("a list of whole numbers", \.settings.cpuAffinityIgnore) { $0.asInts },
        "backlog": int(\.settings.backlog),
        "heartbeat_idle_time": time(\.settings.heartbeatIdleTime),
        "heartbeat_check_interval": time(\.settings.heartbeatCheckInterval),
        "keepalive_timeout": time(\.settings.idleTimeout),
        // One message, one body, one packet, whatever the protocol has.
        "package_max_length": PeerOption(kind: bytes) {
            guard let size = $1.asSize else { return false }
            $0.settings.maxMessage = size
            $0.settings.maxBody = size
            $0.port.maxPacket = size
            return true
        },
        "socket_buffer_size": size(\.settings.maxQueue),
        "websocket_subprotocol": option("text", \.settings.subprotocols) { $0.asText.map { [$0] } },
        "websocket_compression": PeerOption(kind: "true or false") {
            guard let isOn = $1.asBool else { return false }
            $0.settings.compression = isOn ? $0.settings.compression ?? Compression() : nil
            return true
        },
        "open_eof_check": bool(\.isMarkerChecked),
        "open_eof_split": bool(\.isMarkerSplit),
        "package_eof": text(\.marker),
        "open_length_check": bool(\.isLengthChecked),
        "package_length_type": optional("one character", \.lengthType) {
            $0.asText.flatMap { $0.count == 1 ? $0.first : nil }
        },
        "package_length_offset": int(\.lengthOffset),
        "package_body_offset": int(\.bodyOffset),
        "open_mqtt_protocol": bool(\.isMQTT),
        "open_tcp_nodelay": bool(\.port.noDelay),
        "open_tcp_keepalive": bool(\.keepsAlive),
        "tcp_keepidle": time(\.keepAlive.idle),
        "tcp_keepinterval": time(\.keepAlive.interval),
        "tcp_keepcount": int(\.keepAlive.count),
        "tcp_defer_accept": time(\.port.deferAccept),
        "enable_reuse_port": bool(\.port.reusePort),
        "kernel_socket_recv_buffer_size": size(\.port.receiveBuffer),
        "kernel_socket_send_buffer_size": size(\.port.sendBuffer),
        "ssl_cert_file": text(\.certificate),
        "ssl_key_file": text(\.key),
    ]
}
