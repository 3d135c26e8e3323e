/// One option: what its value must be, in words, and where it is kept.
struct SwooleOption: Sendable {
    let kind: String
    /// False when the value cannot be converted.
    let set: @Sendable (inout OptionDraft, OptionValue) -> Bool
    /// The effective value; `nil` when there is none.
    let get: @Sendable (OptionDraft) -> OptionValue?
}

extension OptionDraft {
    private typealias Path<Value> = WritableKeyPath<OptionDraft, Value> & Sendable

    private static func option<Value>(
        _ kind: String, _ path: any Path<Value>, _ read: @escaping @Sendable (OptionValue) -> Value?,
        _ write: @escaping @Sendable (Value) -> OptionValue?
    ) -> SwooleOption {
        SwooleOption(
            kind: kind,
            set: { draft, value in
                guard let value = read(value) else { return false }
                draft[keyPath: path] = value
                return true
            }, get: { write($0[keyPath: path]) })
    }

    private static let number = "a whole number"
    private static let seconds = "seconds"
    private static let bytes = "bytes, like 2097152 or \"2M\""

    private static func int(_ path: any Path<Int>) -> SwooleOption {
        option(number, path, { $0.asInt }, { .integer($0) })
    }
    private static func bool(_ path: any Path<Bool>) -> SwooleOption {
        option("true or false", path, { $0.asBool }, { .bool($0) })
    }
    private static func text(_ path: any Path<String?>) -> SwooleOption {
        option("text", path, { $0.asText.map(Optional.some) }, { $0.map { .text($0) } })
    }
    private static func time(_ path: any Path<Duration>) -> SwooleOption {
        option(seconds, path, { $0.asSeconds }, { .seconds($0) })
    }
    /// 0 is none.
    private static func time(_ path: any Path<Duration?>) -> SwooleOption {
        option(seconds, path, { $0.asSeconds.map { $0 == .zero ? nil : $0 } }, { .seconds($0 ?? .zero) })
    }
    private static func size(_ path: any Path<Int>) -> SwooleOption {
        option(bytes, path, { $0.asSize }, { .integer($0) })
    }
    private static func size(_ path: any Path<Int?>) -> SwooleOption {
        option(bytes, path, { $0.asSize.map(Optional.some) }, { $0.map { .integer($0) } })
    }

    /// A number of which 0 is the default.
    private static func count(_ path: any Path<Int>, _ standard: Int) -> SwooleOption {
        option(number, path, { $0.asInt.map { $0 == 0 ? standard : $0 } }, { .integer($0) })
    }

    /// A number of which 0 is no limit.
    private static func limit(_ path: any Path<Int?>) -> SwooleOption {
        option(number, path, { $0.asInt.map { $0 == 0 ? nil : $0 } }, { .integer($0 ?? 0) })
    }

    private static func grace(_ path: any Path<Int?>, of limit: any Path<Int>) -> SwooleOption {
        SwooleOption(
            kind: number,
            set: { draft, value in
                guard let value = value.asInt else { return false }
                draft[keyPath: path] = value
                return true
            }, get: { .integer(Settings.grace($0[keyPath: limit], $0[keyPath: path])) })
    }

    /// A value that has an effect when a switch is on. It has no value of its own while neither was set.
    private static func value(
        _ use: any Path<NamedOptions.Use>, of isOn: any Path<Bool>, _ option: SwooleOption
    ) -> SwooleOption {
        SwooleOption(
            kind: option.kind,
            set: { draft, value in
                draft[keyPath: use].hasValue = true
                return option.set(&draft, value)
            }, get: { $0[keyPath: isOn] || $0[keyPath: use].hasValue ? option.get($0) : nil })
    }

    private static func toggle(_ use: any Path<NamedOptions.Use>, _ option: SwooleOption) -> SwooleOption {
        SwooleOption(
            kind: option.kind,
            set: { draft, value in
                draft[keyPath: use].hasSwitch = true
                return option.set(&draft, value)
            }, get: option.get)
    }

    private static func marker(_ option: SwooleOption) -> SwooleOption {
        value(\.named.markerUse, of: \.isMarkerChecked, option)
    }
    private static func length(_ option: SwooleOption) -> SwooleOption {
        value(\.named.lengthUse, of: \.isLengthChecked, option)
    }
    private static func probes(_ option: SwooleOption) -> SwooleOption {
        value(\.named.probeUse, of: \.keepsAlive, option)
    }

    private static func number(of rule: Dispatch) -> Int? {
        switch rule {
        case .roundRobin: 1
        case .byConnection: 2
        case .idleFirst: 3
        case .byAddress: 4
        case .byUser: 5
        case .leastConnections, .function: nil
        }
    }

    private static let dispatchModes: [Int: Dispatch] = [
        1: .roundRobin, 2: .byConnection, 3: .idleFirst, 4: .byAddress, 5: .byUser,
    ]
    private static let logLevels: [LogLevel] = [.debug, .debug, .notice, .notice, .warning, .error, .none]

    private static let bodyOffset = length(int(\.named.bodyOffset))

    /// All options, by name.
    static let options = ofServer.merging(ofHTTP) { own, _ in own }

    private static let ofServer: [String: SwooleOption] = [
        "worker_num": SwooleOption(
            kind: number, set: count(\.settings.workerCount, Settings().workerCount).set,
            get: { .integer($0.mode == .single ? 1 : $0.settings.workerCount) }),
        "reactor_num": SwooleOption(
            kind: number,
            set: { draft, value in
                guard let count = value.asInt else { return false }
                draft.settings.reactorCount = count == 0 ? nil : count
                return true
            }, get: { .integer($0.settings.reactors(mode: $0.mode)) }),
        "task_worker_num": int(\.settings.taskWorkerCount),
        "max_request": int(\.settings.maxRequests),
        "max_request_grace": grace(\.settings.maxRequestsGrace, of: \.settings.maxRequests),
        "task_max_request": int(\.settings.maxTasks),
        "task_max_request_grace": grace(\.settings.maxTasksGrace, of: \.settings.maxTasks),
        "max_connection": count(\.settings.maxConnections, Settings().maxConnections),
        "max_conn": count(\.settings.maxConnections, Settings().maxConnections),
        "max_concurrency": limit(\.settings.maxConcurrentRequests),
        "worker_max_concurrency": limit(\.settings.maxConcurrentRequestsPerWorker),
        "max_wait_time": time(\.settings.shutdownTimeout),
        "dispatch_mode": option(
            "1 (in turn), 2 (by connection), 3 (idle first), 4 (by address) or 5 (by user)", \.settings.dispatch,
            { value in value.asInt.flatMap { dispatchModes[$0] } }, { number(of: $0).map { .integer($0) } }),
        "daemonize": bool(\.settings.daemonize),
        "pid_file": text(\.settings.pidFile),
        "log_file": text(\.settings.logFile),
        "log_level": option(
            "0 (everything) to 6 (nothing)", \.settings.logLevel,
            { value in value.asInt.flatMap { logLevels.indices.contains($0) ? logLevels[$0] : nil } },
            { level in logLevels.firstIndex(of: level).map { .integer($0) } }),
        "stats_file": text(\.settings.statsFile),
        "user": text(\.settings.user),
        "group": text(\.settings.group),
        "chroot": text(\.settings.chroot),
        "open_cpu_affinity": bool(\.settings.cpuAffinity),
        "cpu_affinity_ignore": option(
            "a list of whole numbers", \.settings.cpuAffinityIgnore, { $0.asInts },
            { .list($0.map { .integer($0) }) }),
        "backlog": int(\.settings.backlog),
        "heartbeat_idle_time": SwooleOption(
            kind: seconds, set: time(\.settings.heartbeatIdleTime).set,
            get: { .seconds($0.settings.effectiveIdleTime ?? .zero) }),
        "heartbeat_check_interval": time(\.settings.heartbeatCheckInterval),
        "keepalive_timeout": time(\.settings.idleTimeout),
        // One message, one body, one packet, whatever the protocol has.
        "package_max_length": SwooleOption(
            kind: bytes,
            set: { draft, value in
                guard let size = value.asSize else { return false }
                draft.settings.maxMessage = size
                draft.settings.maxBody = size
                if draft.spoken == .tcp || draft.spoken == .udp { draft.port.maxPacket = size }
                return true
            },
            get: { draft in
                switch draft.spoken {
                case .webSocket: .integer(draft.port.maxMessage ?? draft.settings.maxMessage)
                case .http: .integer(draft.port.maxBody ?? draft.settings.maxBody)
                case .tcp, .udp: .integer(draft.port.maxPacket)
                }
            }),
        "socket_buffer_size": size(\.settings.maxQueue),
        "buffer_high_watermark": size(\.settings.highWatermark),
        "buffer_low_watermark": size(\.settings.lowWatermark),
        "websocket_subprotocol": option(
            "text", \.settings.subprotocols, { $0.asText.map { [$0] } }, { $0.first.map { .text($0) } }),
        "open_websocket_close_frame": bool(\.settings.deliversCloseFrames),
        "open_websocket_ping_frame": bool(\.settings.deliversPings),
        "open_websocket_pong_frame": bool(\.settings.deliversPongs),
        "websocket_compression": SwooleOption(
            kind: "true or false",
            set: { draft, value in
                guard let isOn = value.asBool else { return false }
                draft.settings.compression = isOn ? draft.settings.compression ?? Compression() : nil
                return true
            }, get: { .bool($0.settings.compression != nil) }),
        "open_eof_check": toggle(\.named.markerUse, bool(\.isMarkerChecked)),
        // It switches the check on, too, which stays on when the splitting is switched off.
        "open_eof_split": toggle(
            \.named.markerUse,
            SwooleOption(
                kind: "true or false",
                set: { draft, value in
                    guard let isOn = value.asBool else { return false }
                    draft.isMarkerSplit = isOn
                    if isOn { draft.isMarkerChecked = true }
                    return true
                }, get: { .bool($0.isMarkerSplit) })),
        "package_eof": marker(option("text", \.named.marker, { $0.asText }, { .text($0) })),
        "open_length_check": toggle(\.named.lengthUse, bool(\.isLengthChecked)),
        "package_length_type": length(
            option(
                "one character", \.named.lengthType,
                { value in value.asText.flatMap { $0.count == 1 ? $0.first : nil } }, { .text(String($0)) })),
        "package_length_offset": length(int(\.named.lengthOffset)),
        "package_body_offset": bodyOffset,
        "package_body_start": bodyOffset,
        "open_mqtt_protocol": bool(\.isMQTT),
        "open_tcp_nodelay": bool(\.port.noDelay),
        "open_tcp_keepalive": toggle(\.named.probeUse, bool(\.keepsAlive)),
        "tcp_keepidle": probes(time(\.named.keepAlive.idle)),
        "tcp_keepinterval": probes(time(\.named.keepAlive.interval)),
        "tcp_keepcount": probes(int(\.named.keepAlive.count)),
        "tcp_defer_accept": time(\.port.deferAccept),
        "tcp_fastopen": option(
            number, \.port.fastOpen, { $0.asInt.map { $0 == 0 ? nil : $0 } }, { .integer($0 ?? 0) }),
        "enable_reuse_port": bool(\.port.reusePort),
        "open_http2_protocol": option("true or false", \.port.http2, { $0.asBool }, { $0.map { .bool($0) } }),
        "http2_max_concurrent_streams": limit(\.port.maxStreams),
        "http2_init_window_size": size(\.port.streamWindow),
        "kernel_socket_recv_buffer_size": size(\.port.receiveBuffer),
        "kernel_socket_send_buffer_size": size(\.port.sendBuffer),
        "ssl_cert_file": text(\.certificate),
        "ssl_key_file": text(\.key),
        "ssl_ciphers": text(\.ciphers),
        "ssl_client_cert_file": text(\.authorities),
        "ssl_verify_peer": option(
            "true or false", \.verifiesClients, { $0.asBool.map(Optional.some) }, { $0.map { .bool($0) } }),
    ]
}

// MARK: - Static files, compressed responses and uploads

extension OptionDraft {
    private static let texts = "a list of texts"

    private static func folder(_ option: SwooleOption) -> SwooleOption {
        value(\.named.folderUse, of: \.named.folder.isServed, option)
    }

    private static func compression(_ option: SwooleOption) -> SwooleOption {
        value(\.named.compressionUse, of: \.compresses, option)
    }

    /// One level for all codings. The level that gzip has leaves those of the others as they are.
    private static let level = compression(
        SwooleOption(
            kind: "1 (fast) to 9 (small)",
            set: { draft, value in
                guard let level = value.asInt, (1...9).contains(level) else { return false }
                if level != draft.named.compression.gzipLevel {
                    draft.named.compression.gzipLevel = level
                    draft.named.compression.brotliLevel = level
                    draft.named.compression.zstandardLevel = level
                }
                return true
            }, get: { .integer($0.named.compression.gzipLevel) }))

    private static let threshold = compression(size(\.named.compression.threshold))

    private static let types = compression(
        option(texts, \.named.compression.types, { $0.asTexts }, { .list($0.map { .text($0) }) }))

    private static let ofHTTP: [String: SwooleOption] = [
        "enable_static_handler": toggle(\.named.folderUse, bool(\.named.folder.isServed)),
        "document_root": folder(text(\.named.folder.root)),
        "static_handler_locations": folder(
            option(texts, \.named.folder.locations, { $0.asTexts }, { .list($0.map { .text($0) }) })),
        "http_index_files": folder(
            option(
                "a list of one name", \.named.folder.index,
                { value in value.asTexts.flatMap { $0.count <= 1 ? .some($0.first) : .none } },
                { .list($0.map { [.text($0)] } ?? []) })),
        "http_autoindex": folder(bool(\.named.folder.listsFolders)),
        "http_compression": toggle(\.named.compressionUse, bool(\.compresses)),
        "http_compression_level": level,
        "http_gzip_level": level,
        "compression_level": level,
        "http_compression_min_length": threshold,
        "compression_min_length": threshold,
        "http_compression_types": types,
        "compression_types": types,
        "upload_tmp_dir": text(\.settings.uploadDirectory),
        // Uploads of any size arrive in pieces, up to this limit.
        "upload_max_filesize": SwooleOption(
            kind: bytes,
            set: { draft, value in
                guard let size = value.asSize else { return false }
                draft.settings.streamRequestBodies = size > 0
                draft.settings.maxStreamedBody = size > 0 ? size : nil
                return true
            },
            get: { draft in
                guard draft.settings.streamRequestBodies else { return .integer(0) }
                return draft.settings.maxStreamedBody.map { .integer($0) }
            }),
    ]
}
