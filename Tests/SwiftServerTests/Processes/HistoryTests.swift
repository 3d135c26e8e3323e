import Glibc
import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// Clients that come back to a topic with history, at two servers with one Redis or NATS.
    @Suite(.enabled(if: !BrokerKind.installed.isEmpty)) struct HistoryTests {
        private func run(
            _ mode: ServerMode, _ kind: BrokerKind, test: (any BrokerProcess, [ServerProcess]) throws -> Void
        ) throws {
            let broker = try kind.make()
            let (workers, tasks) = mode == .single ? (1, 1) : (2, 1)
            let configure: (inout Configuration) -> Void = { $0.cluster = broker.url }
            try ServerProcess.run(.history, mode, workers: workers, tasks: tasks, configure) { one in
                try ServerProcess.run(.history, mode, workers: workers, tasks: tasks, configure) { other in
                    try test(broker, [one, other])
                }
            }
        }

        private func position(of topic: String, _ client: WebSocketClient) throws -> String {
            var position = "none"
            try Wait.until("the position of \(topic)") {
                position = try client.ask(.position(of: topic))
                return position != "none"
            }
            return position
        }

        private func publish(_ texts: [String], to topic: String, by client: WebSocketClient) throws {
            for text in texts {
                try Wait.until("room for a message") {
                    try client.ask(.publishToOthers(text, to: topic)) == PushResult.queued
                }
            }
        }

        /// The position behind a first message, which NATS needs to know that all others are there.
        private func firstPosition(of topic: String, _ client: WebSocketClient) throws -> TopicPosition {
            _ = try position(of: topic, client)
            try publish(["first"], to: topic, by: client)
            try waitForOffset(1, of: topic, client)
            return try #require(TopicPosition(position(of: topic, client)))
        }

        /// Waits until the broker has as many messages of the topic, which NATS counts with those of others.
        private func waitForOffset(_ offset: Int, of topic: String, _ client: WebSocketClient) throws {
            try Wait.until("message \(offset)") { try position(of: topic, client).hasPrefix("\(offset):") }
        }

        /// Subscribes when the cluster can be asked; what comes before the answer is `messages`.
        private func recover(
            _ client: WebSocketClient, _ topic: String, since: String?
        ) throws -> (messages: [String], report: RecoveryReport) {
            while true {
                try client.send(.recover(topic, since: since))
                var messages: [String] = []
                while true {
                    let text = try client.receiveText()
                    guard let report = try? decoded(Answer<RecoveryReport>.self, text).answer else {
                        messages.append(text)
                        continue
                    }
                    if report.outcome == "unavailable" { break }
                    return (messages, report)
                }
                usleep(10_000)
            }
        }

        @Test(arguments: BrokerKind.cases(ServerMode.allCases)) func aClientGetsWhatItHasMissedFromAnotherServer(
            _ kind: BrokerKind, _ mode: ServerMode
        ) throws {
            try run(mode, kind) { _, servers in
                let publisher = try WebSocketClient(port: servers[0].port)
                let first = try WebSocketClient(port: servers[0].port)
                let last = try firstPosition(of: "kept:a", publisher)
                let start = "\(last)"
                #expect(try recover(first, "kept:a", since: start).report == RecoveryReport("recovered", start))
                try publish(["0", "1"], to: "kept:a", by: publisher)
                for expected in ["0", "1"] { #expect(try first.receiveText() == expected) }
                let since = TopicPosition(epoch: last.epoch, offset: last.offset + 2)
                try first.sendClose(1000)

                try publish((2..<50).map(String.init), to: "kept:a", by: publisher)
                try waitForOffset(51, of: "kept:a", publisher)
                let second = try WebSocketClient(port: servers[1].port)
                let (messages, report) = try recover(second, "kept:a", since: "\(since)")
                #expect(messages == (2..<50).map(String.init))
                let end = TopicPosition(epoch: last.epoch, offset: 51)
                #expect(report == RecoveryReport("recovered", "\(end)", count: 48))
                try publish(["50"], to: "kept:a", by: publisher)
                #expect(try second.receiveText() == "50")
                #expect(
                    try recover(second, "kept:a", since: start).report.outcome == "subscribed", "it was subscribed")

                let epoch = end.description.split(separator: ":")[1]
                #expect(try publisher.ask(.positionInTask(of: "kept:a")) == "52:\(epoch)")
                let line = try StraightLineTests.connect(servers[1], "/line")
                #expect(try recover(line, "kept:a", since: "\(end)").messages == ["50"])
                #expect(try recover(line, "own", since: nil).report == RecoveryReport("noHistory", nil))
                #expect(try recover(line, "", since: nil).report == RecoveryReport("invalid", nil))
                guard mode != .single else { return }
                let outcome = try servers[0].event(.outcome)
                guard case .outcome(let position) = outcome else { throw TestFailure("\(outcome)") }
                #expect(TopicPosition(position)?.offset == 0)
            }
        }

        @Test(arguments: BrokerKind.installed) func messagesInEnvelopesSayWhereTheyAre(_ kind: BrokerKind) throws {
            try run(.process, kind) { _, servers in
                let clients = try servers.map { try WebSocketClient(port: $0.port) }
                let start = try firstPosition(of: "enveloped:a", clients[0])
                try publish(["missed"], to: "enveloped:a", by: clients[1])
                try waitForOffset(2, of: "enveloped:a", clients[0])
                func envelope(_ offset: UInt64, _ text: String) -> String {
                    let position = TopicPosition(epoch: start.epoch, offset: offset)
                    return "{\"topic\":\"enveloped:a\",\"position\":\"\(position)\"}\n\(text)"
                }
                let (messages, report) = try recover(clients[0], "enveloped:a", since: "\(start)")
                #expect(messages == [envelope(2, "missed")] && report.count == 1)
                try publish(["live"], to: "enveloped:a", by: clients[1])
                #expect(try clients[0].receiveText() == envelope(3, "live"))
                #expect(try (clients[0].ask(.subscribe("line:a")) as PushResult).isAccepted)
                let (result, text): (PushResult, String) = try clients[0].askAndReceive(.publish("x", to: "line:a"))
                #expect(result == .queued && text == "{\"topic\":\"line:a\"}\nx")
            }
        }

        @Test(arguments: ServerMode.allCases) func withoutAClusterThereAreEnvelopesAndNoHistory(
            _ mode: ServerMode
        ) throws {
            try ServerProcess.run(.history, mode, workers: mode == .single ? 1 : 2, { $0.hasEnvelopes = true }) {
                server in
                let client = try WebSocketClient(port: server.port)
                #expect(try (client.ask(.subscribe("line:a")) as PushResult).isAccepted)
                let (result, text): (PushResult, String) = try client.askAndReceive(.publish("x", to: "line:a"))
                #expect(result.isAccepted && text == "{\"topic\":\"line:a\"}\nx")
                #expect(try recover(client, "line:a", since: nil).report == RecoveryReport("noHistory", nil))
                #expect(try client.ask(.position(of: "line:a")) == "none")
            }
        }

        @Test(arguments: BrokerKind.cases(ServerMode.allCases)) func clientsAskByMessages(
            _ kind: BrokerKind, _ mode: ServerMode
        ) throws {
            try run(mode, kind) { _, servers in
                let plain = try servers.map { try WebSocketClient(port: $0.port) }
                for client in plain { _ = try position(of: "enveloped:p", client) }  // each server is connected
                let start = try firstPosition(of: "enveloped:p", plain[0])
                func at(_ offset: UInt64) -> String { "\(TopicPosition(epoch: start.epoch, offset: 1 + offset))" }
                let fields = "Sec-WebSocket-Protocol: other, swiftserver.topics\r\n"
                let clients = try servers.map { try StraightLineTests.connect($0, "/topics", fields: fields) }
                func ask(_ client: WebSocketClient, _ message: String, _ answer: String) throws {
                    try client.send(message)
                    #expect(try client.receiveText() == answer)
                }
                let topic = "\"id\":1,\"topic\":\"enveloped:p\""
                for (offset, text) in [(1, "one"), (2, "two\\nlines")] as [(UInt64, String)] {
                    try ask(
                        clients[0], "{\"type\":\"publish\",\(topic)}\n\(text)", "{\"type\":\"published\",\(topic)}")
                    try waitForOffset(1 + Int(offset), of: "enveloped:p", plain[0])
                }
                try clients[1].send("{\"type\":\"subscribe\",\(topic),\"position\":\"\(at(0))\"}")
                for (offset, text) in [(1, "one"), (2, "two\\nlines")] as [(UInt64, String)] {
                    let front = "{\"topic\":\"enveloped:p\",\"position\":\"\(at(offset))\"}"
                    #expect(try clients[1].receiveText() == "\(front)\n\(text)")
                }
                #expect(
                    try clients[1].receiveText()
                        == "{\"type\":\"subscribed\",\(topic),\"position\":\"\(at(2))\",\"recovery\":\"complete\","
                        + "\"count\":2}")
                // What comes between an unsubscription and the next subscription is recovered.
                try clients[1].send("{\"type\":\"unsubscribe\",\(topic)}")
                try ask(clients[1], "{\"type\":\"ping\"}", "{\"type\":\"pong\"}")
                try ask(clients[0], "{\"type\":\"publish\",\(topic)}\n3", "{\"type\":\"published\",\(topic)}")
                try waitForOffset(4, of: "enveloped:p", plain[0])
                try clients[1].send("{\"type\":\"subscribe\",\(topic),\"position\":\"\(at(2))\"}")
                #expect(try clients[1].receiveText().hasSuffix("\n3"))
                #expect(try clients[1].receiveText().contains("\"recovery\":\"complete\",\"count\":1"))

                func refused(_ topic: String, _ reason: String) -> String {
                    "{\"type\":\"refused\",\"id\":0,\"topic\":\"\(topic)\",\"reason\":\"\(reason)\"}"
                }
                for (topic, reason) in [
                    ("enveloped:secret", "forbidden"), ("kept:p", "notEnveloped"), ("x", "notEnveloped"),
                ] {
                    try ask(clients[0], "{\"type\":\"subscribe\",\"topic\":\"\(topic)\"}", refused(topic, reason))
                }
                try ask(
                    clients[0], "{\"type\":\"publish\",\"topic\":\"x\"}\nforbidden", refused("x", "forbidden"))
                try ask(
                    clients[0], "{\"type\":\"subscribe\",\"topic\":\"line:p\"}",
                    "{\"type\":\"subscribed\",\"id\":0,\"topic\":\"line:p\",\"recovery\":\"none\"}")
                try clients[0].send("{\"type\":\"subscribe\"}")
                #expect(try clients[0].receive() == .close(1008, "malformed message"))
                #expect(throws: (any Error).self) { try StraightLineTests.connect(servers[0], "/topics") }
            }
        }

        @Test(arguments: BrokerKind.installed) func trimmedAndForgottenHistoriesAreLost(_ kind: BrokerKind) throws {
            try run(.process, kind) { broker, servers in
                let client = try WebSocketClient(port: servers[0].port)
                let publisher = try WebSocketClient(port: servers[1].port)
                let start = try position(of: "short:a", client)
                try publish((0..<5).map(String.init), to: "short:a", by: publisher)
                try waitForOffset(5, of: "short:a", publisher)
                let (messages, report) = try recover(client, "short:a", since: start)
                #expect(messages == [] && report.outcome == "lost" && report.position?.hasPrefix("5:") == true)
                try publish(["5"], to: "short:a", by: publisher)
                #expect(try client.receiveText() == "5")

                broker.kill()
                try broker.startEmpty()
                let other = try WebSocketClient(port: servers[0].port)
                let again = try recover(other, "short:a", since: report.position)
                #expect(again.messages == [] && again.report.outcome == "lost")
                #expect(again.report.position != report.position)
            }
        }

        /// While the gateway is killed, and the broker, there is an answer in any case, and in the end the messages.
        @Test(arguments: BrokerKind.cases(ServerMode.supervised)) func recoverySurvivesTheGateway(
            _ kind: BrokerKind, _ mode: ServerMode
        ) throws {
            try run(mode, kind) { broker, servers in
                let publisher = try WebSocketClient(port: servers[1].port)
                let start = "\(try firstPosition(of: "kept:b", publisher))"
                var count = 0
                for round in 0..<4 {
                    try publish((count..<count + 20).map(String.init), to: "kept:b", by: publisher)
                    count += 20
                    let gateway = try servers[0].process("gateway")
                    if round == 2 { broker.kill() }
                    servers[0].signal(SIGKILL, to: gateway)
                    if round == 2 { try broker.start() }
                    let client = try WebSocketClient(port: servers[0].port)
                    var (messages, report) = try recover(client, "kept:b", since: start)
                    #expect(report.outcome == "recovered")
                    while messages.count < count { messages.append(try client.receiveText()) }
                    #expect(messages == (0..<count).map(String.init))
                    #expect(try servers[0].process("gateway") != gateway)
                }
            }
        }

        @Test(arguments: BrokerKind.installed) func withoutTheBrokerThereIsAnAnswerAtOnce(_ kind: BrokerKind) throws {
            try run(.process, kind) { broker, servers in
                let client = try WebSocketClient(port: servers[0].port)
                let start = "\(try firstPosition(of: "kept:c", client))"
                broker.kill()
                try Wait.until("the loss") {
                    try client.ask(.recover("kept:c", since: start)) == RecoveryReport("unavailable", nil)
                }
                try broker.start()
                #expect(try recover(client, "kept:c", since: start).report.position == start)
            }
        }
    }
}
