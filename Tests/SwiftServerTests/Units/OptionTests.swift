import Testing

@testable import SwiftServer

/// Options by name. Names in comments are the peer's test cases that a test repeats.
@Suite struct OptionTests {
    private let server = WebSocketServer(port: 0)

    @Test func namesSetWhatTheyMean() throws {
        try server.set([
            "worker_num": 3, "task_worker_num": 2, "max_request": 100, "daemonize": true, "log_level": 5,
            "dispatch_mode": 3, "heartbeat_idle_time": 60, "max_wait_time": 1.5, "pid_file": "/run/x.pid",
            "websocket_compression": 1, "open_tcp_nodelay": false, "tcp_keepidle": 10, "open_tcp_keepalive": true,
            "open_cpu_affinity": true, "cpu_affinity_ignore": [0, 1], "package_max_length": "2M",
        ])
        let settings = server.settings
        #expect(settings.workerCount == 3 && settings.taskWorkerCount == 2 && settings.maxRequests == 100)
        #expect(settings.daemonize && settings.logLevel == .error && settings.pidFile == "/run/x.pid")
        #expect(settings.heartbeatIdleTime == .seconds(60) && settings.shutdownTimeout == .milliseconds(1500))
        #expect(settings.compression != nil && settings.cpuAffinityIgnore == [0, 1])
        #expect(settings.maxMessage == 2 << 20 && settings.maxBody == 2 << 20)
        let port = server.ports[0].settings
        #expect(port.maxPacket == 2 << 20 && !port.noDelay && port.keepAlive?.idle == .seconds(10))
        guard case .idleFirst = settings.dispatch else { throw ServerError.setting("another dispatch") }
    }

    @Test func packetsHaveOneEnd() throws {
        try server.set(["open_eof_split": true, "package_eof": "\r\n"])
        #expect(server.ports[0].settings.framing == .endMarker("\r\n"))
        try server.set(["open_eof_check": true, "package_eof": "\r\n"])
        #expect(server.ports[0].settings.framing == .endMarkerCheck("\r\n"))
        try server.set(["open_length_check": true, "package_length_type": "n", "package_body_offset": 2])
        #expect(server.ports[0].settings.framing == .length("n", offset: 0, bodyOffset: 2))
        try server.set(["open_mqtt_protocol": true])
        #expect(server.ports[0].settings.framing == .mqtt)
        try server.set(["ssl_cert_file": "a.pem", "ssl_key_file": "b.pem"])
        #expect(server.tls == TLSConfiguration(certificateFile: "a.pem", privateKeyFile: "b.pem"))
    }

    /// invalid_option. Here it is an error, and not a warning.
    @Test(
        arguments: [
            (["worker_nm": 2], "set: there is no option \"worker_nm\""),
            (["worker_num": "2"], "set: worker_num must be a whole number, not \"2\""),
            (["reactor_num": true], "set: reactor_num must be a whole number, not true"),
            (["kernel_socket_recv_buffer_size": "x"], "set: kernel_socket_recv_buffer_size must be bytes, like"),
            (["open_tcp_keepalive": 3], "set: open_tcp_keepalive must be true or false, not 3"),
            (["daemonize": 2], "set: daemonize must be true or false, not 2"),
            (["user": 7], "set: user must be text, not 7"),
            (["heartbeat_idle_time": true], "set: heartbeat_idle_time must be seconds, not true"),
            (
                ["cpu_affinity_ignore": [1, "x"]],
                "set: cpu_affinity_ignore must be a list of whole numbers, not [1, \"x\"]"
            ),
            (["log_level": 7], "set: log_level must be 0 (everything) to 6 (nothing), not 7"),
            (["dispatch_mode": 8], "set: dispatch_mode must be 1 (in turn), 2 (by connection)"),
            (["package_length_type": "nn"], "set: package_length_type must be one character, not \"nn\""),
            (["open_eof_check": true], "set: package_eof and open_eof_check or open_eof_split need each other"),
            (["package_eof": "x"], "set: package_eof and open_eof_check or open_eof_split need each other"),
            (["package_body_offset": 4], "set: the length field needs open_length_check"),
            (["open_mqtt_protocol": true, "open_length_check": true], "set: a packet ends in one way"),
            (["ssl_key_file": "x"], "set: ssl_cert_file and ssl_key_file need each other"),
            (["tcp_keepidle": 3], "set: times of probes need open_tcp_keepalive"),
        ] as [([String: OptionValue], String)])
    func mistakesAreNamed(_ options: [String: OptionValue], _ message: String) throws {
        let all = options.merging(["max_request": 5]) { old, _ in old }
        let error = try #require(throws: ServerError.self) { try server.set(all) }
        #expect(error.code == .invalidSetting && error.message.hasPrefix(message), "\(error.message)")
        #expect(server.settings.maxRequests == 0, "one mistake, and nothing is set")
    }

    /// parse_option_to_size
    @Test func sizes() {
        let good: [(OptionValue, Int)] = [
            (4096, 4096), ("512", 512), ("2M", 2 << 20), ("3k", 3 << 10), ("1G", 1 << 30),
        ]
        for (value, size) in good { #expect(value.asSize == size) }
        let bad: [OptionValue] = ["", "M", "2MB", "-1", "+1", "1.5M", "2 M", -1, 1.5, true, "99999999999G", ["2M"]]
        for value in bad { #expect(value.asSize == nil, "\(value)") }
    }

    /// duplicate_registered: the second handler replaces the first, and nothing keeps that.
    @MainActor @Test func theLastHandlerCounts() {
        final class Mark {}
        weak var first: Mark?
        do {
            let mark = Mark()
            first = mark
            server.onStart { _ in _ = mark }
        }
        #expect(first != nil)
        var calls = 0
        server.onStart { _ in calls += 1 }
        #expect(first == nil)
        server.processHandlers.start?()
        #expect(calls == 1)
    }
}
