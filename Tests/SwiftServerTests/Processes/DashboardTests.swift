import Foundation
import Glibc
import SwiftServer
import SwiftServerTesting
import TestProtocol
import Testing

extension ProcessTests {
    /// The dashboard of the monitoring port: its page, its numbers and its actions.
    @Suite struct DashboardTests {
        private static let token = "0123456789-abcdef"
        private static let fields = "Authorization: Bearer \(token)\r\n"

        private struct Page {
            let port: Int

            func state(fields: String = DashboardTests.fields) throws -> [String: Any] {
                let answer = try Connection(port: port).get("/dashboard.json", fields: fields)
                #expect(answer.status == 200 && answer["content-type"] == "application/json", "\(answer.body)")
                return try #require(try JSONSerialization.jsonObject(with: Data(answer.body.utf8)) as? [String: Any])
            }

            func numbers() throws -> [String: Any] { try #require(try state()["state"] as? [String: Any]) }

            func status() throws -> [String: Any] { try #require(try numbers()["status"] as? [String: Any]) }

            func process(_ name: String) throws -> [String: Any] {
                let list = try #require(try status()["processes"] as? [[String: Any]])
                return try #require(list.first { $0["name"] as? String == name })
            }

            func act(
                _ path: String, _ body: String = "", fields: String = DashboardTests.fields
            ) throws -> (status: Int, error: String) {
                let answer = try Connection(port: port).get(path, method: "POST", fields: fields, body: body)
                let object = try JSONSerialization.jsonObject(with: Data(answer.body.utf8)) as? [String: Any]
                return (answer.status, object?["error"] as? String ?? "")
            }
        }

        private func run(
            _ mode: ServerMode, token: String? = DashboardTests.token, _ test: (ServerProcess, Page) throws -> Void
        ) throws {
            let configure: (inout Configuration) -> Void = {
                $0.monitoringPort = 0
                $0.monitoringToken = token
            }
            try ServerProcess.run(.monitoring, mode, workers: mode == .single ? 1 : 2, tasks: 1, configure) { server in
                let match = try #require(server.log.firstMatch(of: /monitoring 127\.0\.0\.1 port (\d+)/))
                let page = Page(port: try #require(Int(match.1)))
                try Wait.until("readiness") { try Connection(port: page.port).get("/readyz").status == 200 }
                try test(server, page)
            }
        }

        @Test(arguments: ServerMode.allCases) func thePageAndItsNumbers(_ mode: ServerMode) throws {
            try run(mode) { server, page in
                let client = try Connection(port: page.port)
                let html = try client.get("/")
                #expect(html.status == 200 && html["content-type"] == "text/html; charset=utf-8")
                let policy = try #require(html["content-security-policy"])
                #expect(policy.hasPrefix("default-src 'none'; script-src 'nonce-"))
                let nonce = try #require(policy.firstMatch(of: /script-src 'nonce-([a-z0-9]+)'/)).1
                #expect(html.body.contains("<script nonce=\"\(nonce)\"") && !html.body.contains("nonce=\"\""))
                let again = try client.get("/")
                #expect(again["content-security-policy"] != policy && again["x-content-type-options"] == "nosniff")

                let socket = try WebSocketClient(port: server.port)
                #expect(try socket.ask("hello") == "hello")
                try Wait.until("the numbers of the last turn") {
                    let status = try page.status()
                    return (status["statistics"] as? [String: Any])?["messagesReceived"] as? Int == 1
                }
                let state = try page.state()
                let access = try #require(state["access"] as? [String: Bool])
                #expect(access == ["actions": mode != .single, "authorized": true])
                let numbers = try #require(state["state"] as? [String: Any])
                #expect((numbers["connections"] as? [String: Int])?["websocket"] == 1)
                let master = try #require(numbers["master"] as? [String: Any])
                #expect(master["pid"] as? Int == Int(server.pid) && (master["memory"] as? Double ?? 0) > 0)
                #expect((numbers["manager"] is NSNull) == (mode == .single))
                let latency = try #require(numbers["latency"] as? [String: [Any]])
                #expect(latency["turns"]?.count == latency["limits"]?.count && latency["handlers"] != nil)
                let rows = try #require(numbers["processes"] as? [Any])
                let processes = try #require(try page.status()["processes"] as? [[String: Any]])
                #expect(rows.count == processes.count)
                let worker = try #require(processes.firstIndex { $0["name"] as? String == "worker 0" })
                let use = try #require((rows[worker] as? [String: Any])?["use"] as? [String: Any])
                #expect(use["pid"] as? Int == processes[worker]["pid"] as? Int)
            }
        }

        @Test(arguments: ServerMode.supervised) func processesAreRestarted(_ mode: ServerMode) throws {
            try run(mode) { server, page in
                try server.workerStart(0)
                for (name, force) in [("worker 0", false), ("task worker 2", true)] {
                    try Wait.until("\(name)") { try page.process(name)["pid"] is Int }
                    let pid = try #require(try page.process(name)["pid"] as? Int)
                    let body = #"{"process": "\#(name)", "pid": \#(pid), "force": \#(force)}"#
                    let answer = try page.act("/restart", body)
                    #expect(answer.status == 202, "\(answer)")
                    try Wait.until("a new process of \(name)") {
                        let process = try page.process(name)
                        return process["starts"] as? Int == 2 && process["pid"] as? Int != pid
                            && process["failures"] as? Int == (force ? 1 : 0)
                    }
                    // A page that is older than the process.
                    let late = try page.act("/restart", body)
                    #expect(late.status == 409 && late.error.hasPrefix("\(name) has pid "))
                }
                let reload = try page.act("/reload")
                #expect(reload.status == 202, "\(reload)")
                try Wait.until("the end of the reload") {
                    (try page.status()["reloads"] as? [String: Int])?["completed"] == 1
                }
                #expect(server.log.contains("a restart of worker 0 (pid "))
                #expect(server.log.contains("a reload was requested by the dashboard"))
            }
        }

        @Test func actionsAreRefusedWithTheCause() throws {
            try run(.process) { server, page in
                let none = try page.act("/reload", fields: "")
                #expect(none.status == 401 && none.error.contains("settings.monitoringToken"))
                let other = try page.act("/reload", fields: Self.fields + "Origin: http://evil.example\r\n")
                #expect(other.status == 403 && other.error.hasPrefix("requests of other sites are refused"))
                let wrong = try Connection(port: page.port).get(
                    "/dashboard.json", fields: "Authorization: Bearer wrong\r\n")
                #expect(wrong.status == 401 && wrong["www-authenticate"] == "Bearer")
                #expect(
                    try page.state(fields: "")["access"] as? [String: Bool] == ["actions": true, "authorized": false])
                for (body, status, cause) in [
                    ("", 400, "process must be the name"), ("[]", 400, "must be a JSON object"),
                    (#"{"process": "worker 0", "pid": 1.5}"#, 400, "pid its number"),
                    (#"{"process": "worker 9", "pid": 1}"#, 404, "no process \"worker 9\""),
                    (#"{"process": "master", "pid": \#(server.pid)}"#, 404, "no process \"master\""),
                    (#"{"process": "worker 0", "pid": 1, "force": 1}"#, 400, "force must be true or false"),
                ] {
                    let answer = try page.act("/restart", body)
                    #expect(answer.status == status && answer.error.contains(cause), "\(body): \(answer)")
                }
                let client = try Connection(port: page.port)
                #expect(try client.get("/reload", fields: Self.fields).status == 405)
                #expect(try client.get("/", method: "POST")["allow"] == "GET, HEAD")
                try Wait.until("a line of the log") { server.log.contains("the dashboard has refused an action: ") }
                #expect(!server.log.contains(Self.token))
                #expect(try page.status()["reloads"] as? [String: Int] == ["begun": 0, "completed": 0, "aborted": 0])
            }
            try run(.single, token: nil) { _, page in
                let answer = try page.act("/reload")
                #expect(answer.status == 403 && answer.error.contains("which is not set"))
                #expect(try page.state()["access"] as? [String: Bool] == ["actions": false, "authorized": false])
            }
        }
    }
}
