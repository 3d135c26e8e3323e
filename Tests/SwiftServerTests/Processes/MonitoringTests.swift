import Foundation
import Glibc
import SwiftServer
import SwiftServerTesting
import TestProtocol
import Testing

extension ProcessTests {
    /// Metrics and probes, on the port of their own and on routes.
    @Suite struct MonitoringTests {
        /// The port that the log names.
        private func port(of server: ServerProcess) throws -> Int {
            let match = try #require(server.log.firstMatch(of: /monitoring 127\.0\.0\.1 port (\d+)/))
            return try #require(Int(match.1))
        }

        private func workers(_ mode: ServerMode) -> Int { mode == .single ? 1 : 2 }

        private func metrics(_ port: Int) throws -> Exposition {
            let response = try Connection(port: port).get("/metrics")
            #expect(response["content-type"] == "text/plain; version=0.0.4; charset=utf-8")
            return try Exposition(response.body)
        }

        @Test(arguments: ServerMode.allCases) func allProcessesAreSeen(_ mode: ServerMode) throws {
            try ServerProcess.run(.monitoring, mode, workers: workers(mode), tasks: 1, { $0.monitoringPort = 0 }) {
                server in
                let port = try port(of: server)
                try Wait.until("readiness") { try Connection(port: port).get("/readyz").status == 200 }
                let client = try WebSocketClient(port: server.port)
                for _ in 0..<200 { #expect(try client.ask("hello") == "hello") }
                try Wait.until("the counters of the last turn") {
                    let metrics = try metrics(port)
                    return metrics.sum("swiftserver_websocket_messages_received_total") == 200
                        && metrics.sum("swiftserver_subscriptions") == 1
                }
                // The same numbers on a route of any worker.
                for source in [port, server.port] {
                    let metrics = try metrics(source)
                    let own = ["port": "\(server.port)", "state": "websocket"]
                    #expect(try metrics.value("swiftserver_connections", own) == 1)
                    #expect(metrics.sum("swiftserver_topics") == 1)
                    #expect(metrics.sum("swiftserver_websocket_messages_sent_total") >= 200)
                    #expect(metrics.sum("swiftserver_received_bytes_total") > 2000)
                    #expect(metrics.sum("swiftserver_handler_calls_total") > 200)
                    #expect(metrics.sum("swiftserver_handler_duration_seconds_count") >= 1)
                    #expect(metrics.sum("swiftserver_handler_duration_seconds_count", ["handler": "onMessage"]) >= 1)
                    #expect(metrics.sum("swiftserver_loop_turn_duration_seconds_count") > 2)
                    #expect(try metrics.value("swiftserver_ready") == 1)
                    let processes = mode == .single ? 1.0 : 3
                    #expect(metrics.sum("swiftserver_process_up") == processes)
                    #expect(metrics.types["swiftserver_tasks_done_total"] == (mode == .single ? nil : "counter"))
                }
                let text = try Connection(port: port).get("/metrics").body
                let complaints = try Exposition.complaints(about: text)
                #expect(complaints == nil)
            }
        }

        /// A frame of HTTP/2, in decimal: length, type, flags, stream, payload.
        private func frame(_ kind: UInt8, _ flags: UInt8, _ stream: UInt8, _ payload: [UInt8] = []) -> [UInt8] {
            [0, 0, UInt8(payload.count), kind, flags, 0, 0, 0, stream] + payload
        }

        /// Counters of HTTP/2, of which builds without it have none.
        @Test(arguments: ServerMode.allCases) func limitsOfHTTP2AreCounted(_ mode: ServerMode) throws {
            try ServerProcess.run(.monitoring, mode, { $0.monitoringPort = 0 }) { server in
                let port = try port(of: server)
                guard try metrics(port).types["swiftserver_http2_streams_total"] != nil else { return }
                let client = try Connection(port: server.port)
                // GET http "/healthz" of the host "a"
                let head: [UInt8] = [0x82, 0x86, 0x04, 8] + Array("/healthz".utf8) + [0x41, 1] + Array("a".utf8)
                try client.send(Array("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".utf8) + frame(4, 0, 0) + frame(1, 5, 1, head))
                try Wait.until("the stream") {
                    let now = try metrics(port)
                    return now.sum("swiftserver_http2_streams_total") == 1
                        && now.sum("swiftserver_http2_open_streams") == 0
                        && now.sum("swiftserver_http2_open_connections") == 1
                }
                try client.send((0..<1000).flatMap { _ in frame(6, 0, 0, [UInt8](repeating: 0, count: 8)) })
                try Wait.until("the limit") {
                    let now = try metrics(port)
                    return try now.value("swiftserver_http2_limits_exceeded_total", ["limit": "ping"]) == 1
                        && now.sum("swiftserver_http2_limits_exceeded_total") == 1
                        && now.sum("swiftserver_http2_connections_total") == 1
                        && now.sum("swiftserver_http2_open_connections") == 0
                }
                let complaints = try Exposition.complaints(about: try Connection(port: port).get("/metrics").body)
                #expect(complaints == nil)
            }
        }

        @Test func everyFormatAndEveryAnswer() throws {
            try ServerProcess.run(.monitoring, .process, { $0.monitoringPort = 0 }) { server in
                for port in [try port(of: server), server.port] {
                    let client = try Connection(port: port)
                    let accept = "Accept: application/openmetrics-text; version=1.0.0\r\n"
                    let open = try client.get("/metrics", fields: accept)
                    #expect(open["content-type"] == "application/openmetrics-text; version=1.0.0; charset=utf-8")
                    let metrics = try Exposition(open.body, openMetrics: true)
                    #expect(metrics.types["swiftserver_http_requests"] == "counter")
                    let json = try client.get("/metrics?format=json")
                    #expect(json["content-type"] == "application/json")
                    let object = try JSONSerialization.jsonObject(with: Data(json.body.utf8)) as? [String: Any]
                    #expect(object?["swiftserver_info"] != nil)
                    let alive = try client.get("/healthz")
                    #expect(alive.status == 200 && alive.body == "alive\n" && alive["cache-control"] == "no-store")
                    try Wait.until("readiness") { try client.get("/readyz").body == "ready\n" }
                    let other = try client.get("/metrics", method: "DELETE")
                    #expect(other.status == 405 && other["allow"]?.contains("GET") == true)
                    #expect(try client.get("/nothing").status == 404)
                    #expect(try client.get("/metrics", method: "HEAD").body == "")
                }
            }
        }

        @Test(arguments: ServerMode.supervised) func replacedProcessesAreCounted(_ mode: ServerMode) throws {
            try ServerProcess.run(.monitoring, mode, { $0.monitoringPort = 0 }) { server in
                let port = try port(of: server)
                let labels = ["process": "worker 0"]
                try server.workerStart(0)
                server.signal(SIGKILL, to: try server.process("worker 0"))
                try server.workerStart(0, 2)
                try Wait.until("readiness") { try Connection(port: port).get("/readyz").status == 200 }
                var now = try metrics(port)
                #expect(try now.value("swiftserver_process_starts_total", labels) == 2)
                #expect(try now.value("swiftserver_process_failures_total", labels) == 1)
                server.signal(SIGUSR1)
                try Wait.until("the reload") {
                    now = try metrics(port)
                    return try now.value("swiftserver_reloads_total", ["result": "completed"]) == 1
                }
                #expect(try now.value("swiftserver_process_starts_total", labels) == 3)
                #expect(try now.value("swiftserver_process_failures_total", labels) == 1)
                #expect(try now.value("swiftserver_reloading") == 0)
            }
        }

        /// The master answers while no worker can, and until the end of a stop.
        @Test(arguments: ServerMode.supervised) func theMasterAnswers(_ mode: ServerMode) throws {
            let patient: (inout Configuration) -> Void = {
                $0.monitoringPort = 0
                $0.shutdownTimeout = .seconds(60)
            }
            try ServerProcess.run(.monitoring, mode, patient) { server in
                let port = try port(of: server)
                try server.workerStart(0)
                let client = try Connection(port: port)
                try Wait.until("readiness") { try client.get("/readyz").status == 200 }
                let worker = try server.process("worker 0")
                server.signal(SIGSTOP, to: worker)
                #expect(try client.get("/healthz").status == 200)
                let now = try metrics(port)
                #expect(try now.value("swiftserver_process_up", ["process": "worker 0"]) == 1)
                server.signal(SIGTERM)
                try Wait.until("the begin of the stop") { try client.get("/readyz").status == 503 }
                let ready = try client.get("/readyz").body
                #expect(ready.contains("the server is stopping"))
                #expect(try metrics(port).value("swiftserver_stopping") == 1)
                server.signal(SIGCONT, to: worker)
                #expect(try server.waitForEnd() == .exit(0))
            }
        }

        /// Before the stop only probes of readiness fail. A second signal does not wait for it.
        @Test(arguments: ServerMode.allCases) func theServerServesUntilTheDelayHasPassed(_ mode: ServerMode) throws {
            let patient: (inout Configuration) -> Void = {
                $0.monitoringPort = 0
                $0.drainDelay = .seconds(600)
            }
            try ServerProcess.run(.monitoring, mode, patient) { server in
                let port = try port(of: server)
                try Wait.until("readiness") { try Connection(port: port).get("/readyz").status == 200 }
                let client = try WebSocketClient(port: server.port)
                server.signal(SIGTERM, to: -server.pid)  // to all processes
                try Wait.until("the end of the readiness") { try Connection(port: port).get("/readyz").status == 503 }
                #expect(try Connection(port: server.port).get("/readyz").status == 503)
                #expect(try Connection(port: server.port).get("/healthz").status == 200)
                #expect(try client.ask("hello") == "hello")
                #expect(try WebSocketClient(port: server.port).ask("new") == "new")
                server.signal(SIGTERM)
                #expect(try server.waitForEnd() == .exit(0))
            }
        }

        @Test(arguments: ServerMode.allCases) func theStopFollowsTheDelay(_ mode: ServerMode) throws {
            try ServerProcess.run(.monitoring, mode, { $0.drainDelay = .milliseconds(50) }) { server in
                try server.workerStart(0)
                server.signal(SIGTERM)
                #expect(try server.waitForEnd() == .exit(0))
                try server.workerStop(0)
                #expect(server.log.contains("stopping in 0.05 seconds"))
            }
        }

        @Test func aPortInUseIsAnErrorOfTheStart() throws {
            let other = try ServerProcess.runFailing(.monitoring, .single) { $0.monitoringPort = 70_000 }
            let (code, message) = try other.onlyError()
            #expect(code == .invalidSetting && message == "monitoringPort must be 0...65,535, got 70000")
            try ServerProcess.run(.monitoring, .single) { server in
                let port = server.port
                let second = try ServerProcess.runFailing(.monitoring, .single) { $0.monitoringPort = port }
                let (code, message) = try second.onlyError()
                #expect(code == .bindFailed)
                #expect(message == "cannot listen on 127.0.0.1 port \(port): another program listens there")
            }
        }
    }
}
