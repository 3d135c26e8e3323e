import Foundation
import Testing

@testable import SwiftServer

/// Options by name. Names in comments are test cases of Swoole that a test repeats.
@Suite struct OptionTests {
    private let server = WebSocketServer(port: 0)

    @Test func watermarksHaveTheNamesOfSwoole() throws {
        let server = WebSocketServer(host: "127.0.0.1", port: 0)
        try server.set(["buffer_high_watermark": "2M", "buffer_low_watermark": 1024])
        #expect(server.settings.highWatermark == 2 << 20 && server.settings.lowWatermark == 1024)
        #expect(server.option("buffer_low_watermark") == 1024)
    }

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

    private var framing: Framing { server.ports[0].settings.framing }

    @Test func callsMerge() throws {
        try server.set(["open_eof_split": true])
        #expect(framing == .endMarker("\r\n\r\n"))
        try server.set(["package_eof": "\r\n"])
        #expect(framing == .endMarker("\r\n"))
        try server.set(["open_eof_split": false])
        #expect(framing == .endMarkerCheck("\r\n"), "splitting has switched the check on")
        try server.set(["open_eof_check": false])
        #expect(framing == .none)
        try server.set(["open_length_check": true])
        #expect(framing == .length("N", offset: 0, bodyOffset: 4) && framing == .length())
        try server.set(["package_length_type": "n", "package_body_offset": 2])
        try server.set(["package_length_offset": "1"])
        #expect(framing == .length("n", offset: 1, bodyOffset: 2))
        try server.set(["open_length_check": false, "open_eof_check": true])
        #expect(framing == .endMarkerCheck("\r\n"), "the marker of the first calls")
        try server.set(["open_eof_check": false, "open_mqtt_protocol": true])
        #expect(framing == .mqtt)
        try server.set(["open_mqtt_protocol": false, "open_length_check": true])
        #expect(framing == .length("n", offset: 1, bodyOffset: 2))
        try server.set(["worker_num": 3])
        #expect(framing == .length("n", offset: 1, bodyOffset: 2))
        try OptionDraft(server).check()
    }

    /// The order of the calls makes no difference, and typed settings are merged like options.
    @Test func optionsOfHTTP2AreThoseOfThePort() throws {
        let server = HTTPServer(port: 0)
        #expect(server.ports[0].settings.http2 == nil)
        try server.set([
            "open_http2_protocol": false, "http2_max_concurrent_streams": "50", "http2_init_window_size": "128K",
        ])
        let settings = server.ports[0].settings
        #expect(settings.http2 == false)
        #expect(settings.maxStreams == 50)
        #expect(settings.streamWindow == 128 * 1024)
        try server.set(["open_http2_protocol": true, "http2_max_concurrent_streams": 0])
        #expect(server.ports[0].settings.http2 == true)
        #expect(server.ports[0].settings.maxStreams == nil)
    }

    @Test func valuesMayComeBeforeTheirSwitch() throws {
        try server.set(["package_eof": "\n"])
        try server.set(["open_eof_split": true])
        #expect(framing == .endMarker("\n"))
        server.ports[0].settings.framing = .length("C", offset: 1, bodyOffset: 3)
        try server.set(["package_length_offset": 2])
        #expect(framing == .length("C", offset: 2, bodyOffset: 3))
        #expect(server.option("open_eof_split") == false && server.option("open_length_check") == true)
    }

    @Test func probesMerge() throws {
        func probes() -> KeepAlive? { server.ports[0].settings.keepAlive }
        try server.set(["open_tcp_keepalive": true, "tcp_keepidle": 10])
        try server.set(["tcp_keepinterval": "5"])
        try server.set(["open_tcp_keepalive": true, "tcp_keepcount": 3.0])
        #expect(probes() == KeepAlive(idle: .seconds(10), interval: .seconds(5), count: 3))
        try server.set(["open_tcp_keepalive": false])
        #expect(probes() == nil)
        try OptionDraft(server).check()
        try server.set(["open_tcp_keepalive": 1])
        #expect(probes() == KeepAlive(idle: .seconds(10), interval: .seconds(5), count: 3))
    }

    @Test func certificatesMerge() throws {
        try server.set(["ssl_cert_file": "a.pem"])
        #expect(server.tls == nil && server.option("ssl_cert_file") == "a.pem")
        try server.set(["ssl_key_file": "a.key"])
        #expect(server.tls == TLSConfiguration(certificateFile: "a.pem", privateKeyFile: "a.key"))
        server.tls?.certificates.append(.init(host: "b", chain: .file("b.pem"), privateKey: .file("b.key")))
        server.tls?.clientCertificates = .required(authorities: .file("ca.pem"))
        var expected = server.tls
        try server.set(["ssl_cert_file": "c.pem"])
        expected?.certificates[0].chain = .file("c.pem")
        #expect(server.tls == expected)
        server.tls = nil
        try server.set(["worker_num": 1])
        #expect(server.tls == nil && server.option("ssl_key_file") == nil)
    }

    @Test func optionsOfTLSMerge() throws {
        try server.set(["ssl_ciphers": "HIGH", "ssl_client_cert_file": "ca.pem"])
        #expect(server.tls == nil && server.option("ssl_ciphers") == "HIGH")
        #expect(server.option("ssl_client_cert_file") == "ca.pem" && server.option("ssl_verify_peer") == nil)
        try server.set(["ssl_cert_file": "a.pem", "ssl_key_file": "a.key", "ssl_verify_peer": true])
        var expected = TLSConfiguration(certificateFile: "a.pem", privateKeyFile: "a.key")
        expected.ciphers = "HIGH"
        expected.clientCertificates = .required(authorities: .file("ca.pem"))
        #expect(server.tls == expected)
        try OptionDraft(server).check()
        #expect(server.option("ssl_client_cert_file") == "ca.pem" && server.option("ssl_verify_peer") == true)
        try server.set(["ssl_client_cert_file": "other.pem", "ssl_ciphers": "DEFAULT"])
        expected.clientCertificates = .required(authorities: .file("other.pem"))
        expected.ciphers = "DEFAULT"
        #expect(server.tls == expected)
        try server.set(["ssl_verify_peer": false])
        #expect(server.tls?.clientCertificates == TLSConfiguration.ClientCertificates.none)
        #expect(server.option("ssl_verify_peer") == false)
        try OptionDraft(server).check()
        try server.set(["ssl_verify_peer": true])
        #expect(server.tls == expected)
        // What options cannot express stays.
        for other: TLSConfiguration.ClientCertificates in [
            .optional(authorities: .file("a")), .optional(authorities: .pem([1])), .required(authorities: .pem([1])),
        ] {
            server.tls?.clientCertificates = other
            server.tls?.cipherSuites = "x"
            try server.set(server.options)
            #expect(server.tls?.clientCertificates == other && server.tls?.cipherSuites == "x")
            try OptionDraft(server).check()
        }
    }

    @Test func zeroIsTheDefaultOrNone() throws {
        try server.set([
            "worker_num": 7, "reactor_num": 3, "max_conn": 9, "heartbeat_idle_time": 60, "heartbeat_check_interval": 5,
            "tcp_defer_accept": 2, "tcp_fastopen": 100, "max_concurrency": 50, "worker_max_concurrency": "10",
        ])
        #expect(server.settings.maxConcurrentRequests == 50 && server.settings.maxConcurrentRequestsPerWorker == 10)
        #expect(server.option("max_concurrency") == 50 && server.option("worker_max_concurrency") == 10)
        #expect(server.ports[0].settings.fastOpen == 100 && server.ports[0].settings.deferAccept == .seconds(2))
        try server.set([
            "worker_num": 0, "reactor_num": 0, "max_conn": 0, "heartbeat_idle_time": 0, "heartbeat_check_interval": 0,
            "tcp_defer_accept": 0, "tcp_fastopen": 0, "max_concurrency": 0, "worker_max_concurrency": 0,
        ])
        let settings = server.settings
        #expect(settings.maxConcurrentRequests == nil && settings.maxConcurrentRequestsPerWorker == nil)
        #expect(settings.workerCount == Settings().workerCount && settings.reactorCount == nil)
        #expect(settings.maxConnections == 100_000)
        #expect(settings.heartbeatIdleTime == nil && settings.heartbeatCheckInterval == nil)
        #expect(server.ports[0].settings.fastOpen == nil && server.ports[0].settings.deferAccept == nil)
    }

    @Test func valuesAreConverted() throws {
        try server.set([
            "worker_num": "2", "task_worker_num": 3.0, "daemonize": "1", "open_cpu_affinity": "true",
            "heartbeat_idle_time": "1.5", "log_level": "4", "cpu_affinity_ignore": ["1", 2.0],
            "package_max_length": 4096.0, "dispatch_mode": "4",
        ])
        let settings = server.settings
        #expect(settings.workerCount == 2 && settings.taskWorkerCount == 3 && settings.daemonize)
        #expect(settings.cpuAffinity && settings.heartbeatIdleTime == .milliseconds(1500))
        #expect(settings.logLevel == .warning && settings.cpuAffinityIgnore == [1, 2] && settings.maxMessage == 4096)
        #expect(server.option("dispatch_mode") == 4)
    }

    @Test func optionsCanBeReadBack() throws {
        #expect(server.option("worker_num") == .integer(Settings().workerCount))
        #expect(server.option("pid_file") == nil && server.options["pid_file"] == nil)
        #expect(server.option("worker_nm") == nil)
        #expect(server.option("package_max_length") == .integer(1 << 20))
        #expect(Server(port: 0).option("package_max_length") == .integer(2 << 20))
        #expect(HTTPServer(port: 0).option("package_max_length") == .integer(8 << 20))
        let options: [String: OptionValue] = [
            "worker_num": 3, "reactor_num": 2, "max_request": 100, "log_level": 5, "dispatch_mode": 3,
            "heartbeat_check_interval": 2.5, "max_wait_time": 1.5, "pid_file": "/run/x.pid", "open_eof_split": true,
            "package_eof": "x", "tcp_keepidle": 10, "open_tcp_keepalive": true, "cpu_affinity_ignore": [0, 1],
            "open_tcp_nodelay": false, "websocket_compression": true, "websocket_subprotocol": "chat",
            "ssl_cert_file": "a", "ssl_key_file": "b",
        ]
        try server.set(options)
        let all = server.options
        for (name, value) in options { #expect(all[name] == value, "\(name)") }
        #expect(all["max_request_grace"] == 50 && all["heartbeat_idle_time"] == 5 && all["open_eof_check"] == true)
        try server.set(all)
        #expect(server.options == all)
        try OptionDraft(server).check()
        #expect(Server(port: 0, mode: .base).option("reactor_num") == 0)
        #expect(Server(port: 0, mode: .single).option("worker_num") == 1)
        let bytes = Server(port: 0)
        try bytes.set(["package_max_length": "4M"])
        #expect(bytes.ports[0].settings.maxPacket == 4 << 20)
        server.settings.dispatch = .leastConnections
        #expect(server.option("dispatch_mode") == nil)
    }

    @Test func readingBackTheDefaultsChangesNothing() throws {
        let all = server.options
        try server.set(all)
        #expect(server.options == all)
        try OptionDraft(server).check()
    }

    /// invalid_option. Here it is an error, and not a warning.
    @Test(
        arguments: [
            (["worker_nums": 2], "set: there is no option \"worker_nums\"; did you mean \"worker_num\"?"),
            (["workerNum": 2], "set: there is no option \"workerNum\"; did you mean \"worker_num\"?"),
            (["packege_max_lenght": 2], "set: there is no option \"packege_max_lenght\"; did you mean \"package_max_"),
            (["colour": 2], "set: there is no option \"colour\"; docs/swoole-behaviour.md lists all"),
            (
                ["enable_coroutine": true],
                "set: cannot set \"enable_coroutine\": asynchronous handlers suspend by themse"
            ),
            (["reload_async": true], "set: cannot set \"reload_async\": a reload always lets handlers finish"),
            (["ssl_protocols": 4], "set: cannot set \"ssl_protocols\": use server.tls"),
            (["ssl_verify_peer": "yes"], "set: ssl_verify_peer must be true or false, got \"yes\""),
            (["send_timeout": 1], "set: cannot set \"send_timeout\": this option is not implemented"),
            (["http_compression_level": 10], "set: http_compression_level must be 1 (fast) to 9 (small), got 10"),
            (["compression_types": "text/*"], "set: compression_types must be a list of texts, got \"text/*\""),
            (["http_index_files": ["a", "b"]], "set: http_index_files must be a list of one name, got [\"a\", \"b\"]"),
            (["upload_max_filesize": "1X"], "set: upload_max_filesize must be bytes, like"),
            (["worker_num": "two"], "set: worker_num must be a whole number, got \"two\""),
            (["worker_num": 2.5], "set: worker_num must be a whole number, got 2.5"),
            (["reactor_num": true], "set: reactor_num must be a whole number, got true"),
            (["kernel_socket_recv_buffer_size": "x"], "set: kernel_socket_recv_buffer_size must be bytes, like"),
            (["open_tcp_keepalive": 3], "set: open_tcp_keepalive must be true or false, got 3"),
            (["daemonize": 2], "set: daemonize must be true or false, got 2"),
            (["daemonize": "yes"], "set: daemonize must be true or false, got \"yes\""),
            (["user": 7], "set: user must be text, got 7"),
            (["heartbeat_idle_time": true], "set: heartbeat_idle_time must be seconds, got true"),
            (
                ["cpu_affinity_ignore": [1, "x"]],
                "set: cpu_affinity_ignore must be a list of whole numbers, got [1, \"x\"]"
            ),
            (["log_level": 7], "set: log_level must be 0 (everything) to 6 (nothing), got 7"),
            (["dispatch_mode": 8], "set: dispatch_mode must be 1 (in turn), 2 (by connection)"),
            (["package_length_type": "nn"], "set: package_length_type must be one character, got \"nn\""),
            (["package_eof": ""], "set: package_eof must be 1...8 bytes, got \"\""),
            (["package_eof": "123456789"], "set: package_eof must be 1...8 bytes, got \"123456789\""),
            (
                ["open_length_check": 1, "package_length_type": "x"],
                "set: invalid length field: package_length_type \"x\""
            ),
            (
                ["open_mqtt_protocol": true, "open_length_check": true],
                "set: cannot use open_length_check and open_mqtt_protocol together"
            ),
            (
                ["open_eof_split": true, "open_length_check": true],
                "set: cannot use open_eof_split and open_length_check together"
            ),
        ] as [([String: OptionValue], String)])
    func mistakesAreNamed(_ options: [String: OptionValue], _ message: String) throws {
        let all = options.merging(["max_request": 5]) { old, _ in old }
        let error = try #require(throws: ServerError.self) { try server.set(all) }
        #expect(error.code == .invalidSetting && error.message.hasPrefix(message), "\(error.message)")
        #expect(server.settings.maxRequests == 0, "one mistake, and nothing is set")
    }

    /// What may still come in another call is missed by the start.
    @Test(
        arguments: [
            (["package_eof": "x"], "package_eof needs open_eof_check or open_eof_split"),
            (
                ["package_body_offset": 4],
                "package_length_type, package_length_offset and package_body_offset need open_length_check"
            ),
            (["tcp_keepidle": 3], "tcp_keepidle, tcp_keepinterval and tcp_keepcount need open_tcp_keepalive"),
            (["ssl_key_file": "x"], "ssl_key_file needs ssl_cert_file"),
            (["enable_static_handler": true], "enable_static_handler needs document_root"),
            (
                ["document_root": "/tmp"],
                "document_root, static_handler_locations, http_index_files and http_autoindex need enable_static_handler"
            ),
            (
                ["http_compression_level": 9],
                "http_compression_level, compression_min_length and http_compression_types need http_compression"
            ),
            (["upload_tmp_dir": ""], "uploadDirectory must be the path of a directory, got \"\""),
            (["ssl_cert_file": "x"], "ssl_cert_file needs ssl_key_file"),
            (["ssl_ciphers": "HIGH"], "ssl_ciphers needs ssl_cert_file and ssl_key_file"),
            (["ssl_verify_peer": true], "ssl_verify_peer needs ssl_client_cert_file"),
            (
                ["ssl_verify_peer": true, "ssl_client_cert_file": "x"],
                "ssl_verify_peer needs ssl_cert_file and ssl_key_file"
            ),
            (["ssl_client_cert_file": "x"], "ssl_client_cert_file needs ssl_verify_peer"),
        ] as [([String: OptionValue], String)])
    func incompleteOptionsAreNamedByTheStart(_ options: [String: OptionValue], _ message: String) throws {
        server.onMessage { _, _ in }
        try server.set(options)
        let error = try #require(throws: ServerError.self) { try server.start() }
        #expect(error.code == .invalidSetting && error.message == message)
    }

    /// Every option that Swoole has and this server does not says why, and none is both.
    @Test func reasonsAreForOtherNames() {
        for name in UnknownOption.reasons.flatMap(\.names) { #expect(OptionDraft.options[name] == nil, "\(name)") }
    }

    @Test func docsListAllOptions() throws {
        let file = URL(filePath: #filePath).deletingLastPathComponent().appending(
            path: "../../../docs/swoole-behaviour.md")
        let text = try String(contentsOf: file, encoding: .utf8)
        let missing =
            OptionDraft.options.keys.filter { !text.contains("\n| `\($0)` | ") }
            + UnknownOption.reasons.flatMap(\.names).filter { !text.contains("`\($0)`") }
        #expect(missing.isEmpty)
    }

    /// parse_option_to_size
    @Test func sizes() {
        let good: [(OptionValue, Int)] = [
            (4096, 4096), (4096.0, 4096), ("512", 512), ("2M", 2 << 20), ("3k", 3 << 10), ("1G", 1 << 30),
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
