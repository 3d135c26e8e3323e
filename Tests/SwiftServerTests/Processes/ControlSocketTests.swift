import Foundation
import Glibc
import SwiftServer
import SwiftServerTesting
import TestProtocol
import Testing

extension ProcessTests {
    /// The control socket, and the commands of the tool that use it.
    @Suite struct ControlSocketTests {
        /// A client of a control socket.
        struct Control {
            let path: String

            /// Sends a request, whose answer must be JSON.
            @discardableResult
            func send(
                _ method: String, _ target: String, _ body: String = "", status: Int = 200
            ) throws -> [String: Any] {
                let answer = try Connection.local(path: path).get(target, method: method, body: body)
                #expect(answer.status == status, "\(method) \(target) \(body): \(answer.body)")
                #expect(answer["content-type"] == "application/json" && answer["cache-control"] == "no-store")
                let object = try JSONSerialization.jsonObject(with: Data(answer.body.utf8))
                return try #require(object as? [String: Any])
            }

            func error(_ method: String, _ target: String, _ body: String = "", status: Int = 400) throws -> String {
                try #require(try send(method, target, body, status: status)["error"] as? String)
            }

            func connections(_ query: String = "") throws -> [[String: Any]] {
                try #require(try send("GET", "/connections\(query)")["connections"] as? [[String: Any]])
            }
        }

        private func run(
            _ mode: ServerMode, _ configure: (inout Configuration) -> Void = { _ in },
            test: (ServerProcess, Control) throws -> Void
        ) throws {
            let folder = try Folder()
            let control = Control(path: folder.file("control"))
            let scenario: Scenario = .monitoring
            try ServerProcess.run(
                scenario, mode, workers: mode == .single ? 1 : 2,
                {
                    $0.controlSocket = control.path
                    configure(&$0)
                }
            ) { server in
                try Wait.until("readiness") { try control.send("GET", "/status")["ready"] as? Bool == true }
                try test(server, control)
            }
            #expect(!folder.exists("control"))
        }

        /// Waits until `count` worker processes, with their predecessors, have logged a signal, which is a debug line.
        private func waitForDebugLines(of count: Int, _ server: ServerProcess) throws {
            server.signal(SIGHUP)
            try Wait.until("debug lines of \(count) workers") {
                let lines = server.log.matches(of: /\[(\d+) worker \d+\] debug: signal/)
                return Set(lines.map(\.1)).count == count
            }
        }

        /// Each process lists the largest ones, and the sums of all are in order.
        @Test(arguments: ServerMode.allCases) func listsOfTopicsAreLimited(_ mode: ServerMode) throws {
            let folder = try Folder()
            let control = Control(path: folder.file("control"))
            try ServerProcess.run(.broadcast, mode, { $0.controlSocket = control.path }) { server in
                let clients = try (0..<2).map { _ in try WebSocketClient(port: server.port) }
                #expect(try control.send("GET", "/topics")["complete"] as? Bool == true)
                for index in 0..<250 { _ = try clients[0].ask(.subscribe("topic \(index)")) as PushResult }
                for index in 230..<250 { _ = try clients[1].ask(.subscribe("topic \(index)")) as PushResult }
                try Wait.until("all subscriptions") {
                    try control.send("GET", "/topics")["subscriptions"] as? Int == 270
                }
                let list = try control.send("GET", "/topics?limit=200")
                let topics = try #require(list["topics"] as? [[String: Any]])
                #expect(topics.count == 200 && list["complete"] as? Bool == false)
                let counts = topics.compactMap { $0["subscribers"] as? Int }
                #expect(counts == Array(repeating: 2, count: 20) + Array(repeating: 1, count: 180))
                let few = try control.send("GET", "/topics?filter=topic%2024&limit=200")
                #expect((few["topics"] as? [Any])?.count == 11 && few["complete"] as? Bool == true)
            }
        }

        /// A process that a handler blocks is skipped.
        @Test func topicsOfABlockedWorkerAreMissing() throws {
            let folder = try Folder()
            let control = Control(path: folder.file("control"))
            try ServerProcess.run(.broadcast, .base, { $0.controlSocket = control.path }) { server in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask(.subscribe("a")) as PushResult == .sent)
                try client.send(.block(.seconds(3)))
                _ = try server.event(.blocked)
                let list = try control.send("GET", "/topics")
                #expect((list["topics"] as? [Any])?.isEmpty == true && list["complete"] as? Bool == false)
                let process = try #require((list["processes"] as? [[String: Any]])?.first)
                #expect(process["answered"] as? Bool == false && process["subscriptions"] as? Int == 1)
                #expect(try client.answer() == true)
                try Wait.until("the topic") { try control.send("GET", "/topics")["complete"] as? Bool == true }
            }
        }

        @Test(arguments: ServerMode.allCases) func everyCommand(_ mode: ServerMode) throws {
            try run(mode, { $0.logLevel = .notice }) { server, control in
                var info = stat()
                #expect(unsafe stat(control.path, &info) == 0 && info.st_mode & 0o777 == 0o600)

                let status = try control.send("GET", "/status")
                #expect(status["mode"] as? String == mode.rawValue && status["pid"] as? Int == Int(server.pid))
                let processes = try #require(status["processes"] as? [[String: Any]])
                #expect(processes.count { $0["role"] as? String == "worker" } == (mode == .single ? 1 : 2))

                // Connections: listed, filtered, page by page, closed.
                let clients = try (0..<3).map { _ in try WebSocketClient(port: server.port) }
                for client in clients { #expect(try client.ask("hello") == "hello") }
                try Wait.until("three connections") { try control.connections("?state=websocket").count == 3 }
                let first = try control.send("GET", "/connections?state=websocket&limit=2")
                #expect((first["connections"] as? [Any])?.count == 2)
                let next = try #require(first["next"] as? Int)
                let rest = try control.send("GET", "/connections?state=websocket&after=\(next)")
                #expect((rest["connections"] as? [Any])?.count == 1 && rest["next"] is NSNull)
                let id = "\(clients[0].fd)"
                let entry = try #require(try control.connections().first { $0["id"] as? String == id })
                #expect(entry["port"] as? Int == server.port)
                #expect(try control.connections("?port=1").isEmpty)
                #expect(try control.connections("?idle=86400").isEmpty)
                #expect(try control.connections("?address=127.0.0.1&queued=0&port=\(server.port)").count == 3)

                // A message to a topic, and to all.
                let sent = try control.send("POST", "/publish", #"{"topic": "news", "text": "é\n1"}"#, status: 202)
                #expect((sent["result"] as? String).map { ["sent", "queued"].contains($0) } == true)
                for client in clients { #expect(try client.receiveText() == "é\n1") }
                try control.send("POST", "/publish", #"{"text": "all"}"#, status: 202)
                for client in clients { #expect(try client.receiveText() == "all") }
                try Wait.until("the numbers of the last turn") {
                    try control.send("GET", "/topics")["subscriptions"] as? Int == 3
                }
                let topics = try control.send("GET", "/topics?filter=ew")
                #expect(topics["topics"] as? NSArray == [["name": "news", "subscribers": 3]])
                #expect(topics["complete"] as? Bool == true)
                #expect(try (control.send("GET", "/topics?filter=x")["topics"] as? [Any])?.isEmpty == true)
                #expect(try control.error("GET", "/topics?limit=201").contains("1 to 200"))
                #expect(
                    try control.error("GET", "/topics?filter=\(String(repeating: "x", count: 256))").contains("255"))
                #expect(try control.error("POST", "/topics", status: 405).contains("GET"))

                let body = #"{"ids": ["\#(id)", "999999999"], "code": 4001, "reason": "bye"}"#
                let closed = try control.send("POST", "/connections/close", body, status: 202)
                #expect(closed["closing"] as? Int == 1 && closed["gone"] as? Int == 1 && closed["failed"] as? Int == 0)
                let close = try clients[0].receive()
                #expect(close == .close(4001, "bye"))

                // The level reaches every process at once.
                let level = try control.send("PUT", "/log-level", #"{"level": "debug"}"#)
                #expect(level["before"] as? String == "notice" && level["level"] as? String == "debug")
                let changed = try control.send("GET", "/status")["logLevel"] as? String
                #expect(changed == "debug")

                if mode == .single {
                    let refusal = try control.error("POST", "/reload", status: 409)
                    #expect(refusal.contains("single mode"))
                } else {
                    try waitForDebugLines(of: 2, server)
                    try control.send("POST", "/reload", #"{"onlyTaskWorkers": false}"#, status: 202)
                    try Wait.until("the end of the reload") {
                        let reloads = try control.send("GET", "/status")["reloads"] as? [String: Int]
                        return reloads?["completed"] == 1
                    }
                    try waitForDebugLines(of: 4, server)
                }
                try control.send("POST", "/stop", status: 202)
                #expect(try server.waitForEnd() == .exit(0))
            }
        }

        @Test func invalidRequestsAreRefused() throws {
            try run(.single) { server, control in
                let cases: [(String, String, String, Int, String)] = [
                    ("GET", "/nothing", "", 404, "the control socket has /connections, /connections/close,"),
                    ("GET", "/stop", "", 405, "/stop has POST"),
                    ("GET", "/connections?limit=0", "", 400, "limit must be 1 to 1000, got \"0\""),
                    ("GET", "/connections?colour=red", "", 400, "unknown argument \"colour\""),
                    ("GET", "/connections?state=odd", "", 400, "state must be one of http,"),
                    ("GET", "/connections?idle=x", "", 400, "idle must be a number of seconds"),
                    ("POST", "/connections/close", "[]", 400, "the body must be a JSON object"),
                    ("POST", "/connections/close", "{}", 400, "ids must be an array"),
                    ("POST", "/connections/close", #"{"ids": ["x"]}"#, 400, "\"x\" is no id"),
                    ("POST", "/connections/close", #"{"ids": ["1"], "code": 1006}"#, 400, "code must be"),
                    ("POST", "/publish", #"{"topic": "news"}"#, 400, "text must be"),
                    ("POST", "/publish", #"{"topic": 1, "text": ""}"#, 400, "topic must be text"),
                    ("POST", "/publish", #"{"topic": "", "text": "x"}"#, 400, "cannot publish"),
                    ("POST", "/stop", #"{"now": true}"#, 400, "unknown member \"now\" in the body"),
                    ("POST", "/reload", #"{"onlyTaskWorkers": 1}"#, 400, "onlyTaskWorkers must be true or false"),
                    ("PUT", "/log-level", #"{"level": "loud"}"#, 400, "level must be one of debug, notice"),
                ]
                for (method, target, body, status, cause) in cases {
                    let error = try control.error(method, target, body, status: status)
                    #expect(error.contains(cause), "\(method) \(target): \(error)")
                }
                let many = (0...1000).map { "\"\($0 + 1)\"" }.joined(separator: ",")
                #expect(
                    try control.error("POST", "/connections/close", "{\"ids\": [\(many)]}").contains("at most 1000"))
                let client = try Connection.local(path: control.path)
                try client.send("POST /publish HTTP/1.1\r\nHost: x\r\nContent-Length: 1048577\r\n\r\n")
                #expect(try client.takeResponse().status == 413)

                // The file of a running server is not replaced; a file that is no socket neither.
                let second = try ServerProcess.runFailing(.monitoring, .single) { $0.controlSocket = control.path }
                let (code, message) = try second.onlyError()
                #expect(code == .bindFailed)
                #expect(message == "cannot listen on unix:\(control.path): another program listens there")
                try control.send("GET", "/status")
            }
            let empty = try ServerProcess.runFailing(.monitoring, .single) { $0.controlSocket = "" }
            let (code, message) = try empty.onlyError()
            #expect(code == .invalidSetting && message == "controlSocket must be the path of a file, got \"\"")
        }

        /// The file of a server that was killed is replaced, and the master answers while no worker can.
        @Test func theMasterAnswersWhileWorkersAreStopped() throws {
            let folder = try Folder()
            let path = folder.file("control")
            let left = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            var address = sockaddr_un()
            address.sun_family = sa_family_t(AF_UNIX)
            unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: path.utf8) }
            let size = socklen_t(MemoryLayout<sockaddr_un>.size)
            let bound = unsafe withUnsafePointer(to: &address) {
                unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { unsafe bind(left, $0, size) }
            }
            #expect(bound == 0)
            close(left)
            let control = Control(path: path)
            try ServerProcess.run(.monitoring, .process, { $0.controlSocket = path }) { server in
                try server.workerStart(0)
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask("hello") == "hello")
                let worker = try server.process("worker 0")
                server.signal(SIGSTOP, to: worker)
                #expect(try control.send("GET", "/status")["pid"] as? Int == Int(server.pid))
                try control.send("POST", "/publish", #"{"topic": "news", "text": "still here"}"#, status: 202)
                #expect(try client.receiveText() == "still here")
                server.signal(SIGCONT, to: worker)
            }
        }
    }
}
