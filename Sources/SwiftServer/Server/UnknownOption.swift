/// The name of an option that cannot be set.
struct UnknownOption {
    /// Why, in words.
    let cause: String

    init(_ name: String) {
        if let reason = UnknownOption.reason(name) {
            cause = "cannot set \"\(name)\": \(reason)"
        } else if let nearest = UnknownOption.nearest(to: name, among: OptionDraft.options.keys) {
            cause = "there is no option \"\(name)\"; did you mean \"\(nearest)\"?"
        } else {
            cause = "there is no option \"\(name)\"; docs/swoole-behaviour.md lists all"
        }
    }

    /// The known name with the fewest letters to change, if that is plausible.
    static func nearest(to name: String, among names: some Sequence<String>) -> String? {
        let wanted = words(name)
        let found = names.map { (name: $0, distance: distance(wanted, words($0))) }
            .min { ($0.distance, $0.name) < ($1.distance, $1.name) }
        guard let found, found.distance <= max(2, wanted.count / 4) else { return nil }
        return found.name
    }

    /// Small letters without "_", so that "workerNum" is near, too.
    private static func words(_ name: String) -> [UInt8] {
        name.lowercased().utf8.filter { $0 != UInt8(ascii: "_") }
    }

    /// How many bytes must be added, removed or replaced.
    private static func distance(_ a: [UInt8], _ b: [UInt8]) -> Int {
        var row = Array(0...b.count)
        for (i, left) in a.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, right) in b.enumerated() {
                let replaced = diagonal + (left == right ? 0 : 1)
                diagonal = row[j + 1]
                row[j + 1] = min(replaced, row[j] + 1, diagonal + 1)
            }
        }
        return row[b.count]
    }

    private static func reason(_ name: String) -> String? {
        if let found = reasons.first(where: { $0.names.contains(name) }) { return found.reason }
        return prefixes.first { name.hasPrefix($0.prefix) }?.reason
    }

    /// Options of Swoole that have no meaning here.
    static let reasons: [(names: [String], reason: String)] = [
        (
            [
                "enable_coroutine", "max_coroutine", "max_coro_num", "stack_size", "c_stack_size", "hook_flags",
                "enable_preemptive_scheduler", "enable_deadlock_check", "task_enable_coroutine", "send_yield",
            ], "asynchronous handlers suspend by themselves; write a handler with async, or without"
        ),
        (["reload_async"], "a reload always lets handlers finish, as long as max_wait_time allows"),
        (
            ["event_object", "task_object", "task_use_object"],
            "handlers have typed arguments, such as Frame, Request and ServerTask"
        ),
        (["task_ipc_mode", "message_queue_key", "task_tmpdir"], "tasks travel in shared memory (settings.maxTask)"),
        (["single_thread"], "use ServerMode.single"),
        (["bootstrap", "init_arguments"], "there is no mode with threads as workers"),
        (
            ["open_http_protocol", "open_websocket_protocol"],
            "the class of the server, or the type of a port, says what a port speaks"
        ),
        (["open_redis_protocol"], "this protocol is not implemented"),
        (["dispatch_func"], "use settings.dispatch = .function"),
        (
            ["package_length_func"],
            "use settings.framing = .function of the port"
        ),
        (
            ["discard_timeout_request", "enable_unsafe_event"],
            "events of a connection are delivered in order, to one worker, in every dispatch mode"
        ),
        (["enable_delay_receive"], "connections are read from the start"),
        (["output_buffer_size", "buffer_output_size"], "use socket_buffer_size (settings.maxQueue)"),
        (["input_buffer_size", "buffer_input_size"], "buffers grow with the data, up to package_max_length"),
        (["max_idle_time"], "use heartbeat_idle_time"),
        (["debug_mode", "trace_flags", "display_errors"], "use log_level"),
        (["max_queued_bytes"], "reading from a connection always stops while too much of it waits"),
        (["start_session_id"], "connection ids always start at 1"),
        (
            ["http_parse_cookie", "http_parse_post", "http_parse_files"],
            "a request is parsed when it is asked for a part"
        ),
        (
            [
                "admin_server", "log_date_format", "log_date_with_microseconds", "log_rotation", "send_timeout",
                "tcp_user_timeout",
            ], "this option is not implemented"
        ),
    ]

    private static let prefixes: [(prefix: String, reason: String)] = [
        (
            "ssl_",
            "use server.tls for all but ssl_cert_file, ssl_key_file, ssl_ciphers, ssl_client_cert_file and ssl_verify_peer"
        ),
        ("aio_", "files are read by the handlers themselves"),
        ("iouring_", "sockets are served by libuv"),
        ("websocket_mask", "servers never mask frames"),
    ]
}
