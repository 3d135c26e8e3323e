import Testing

@testable import SwiftServer

/// Events and the registration of their handlers, in servers that do not start.
@MainActor @Suite struct EventTests {
    /// The error of a server that cannot start for its handlers.
    private func error(_ server: Server) -> String {
        do throws(ServerError) { try server.checkEvents() } catch {
            #expect(error.code == .invalidHandler)
            return error.message
        }
        return ""
    }

    @Test(arguments: ["message", "Message", "MESSAGE", "onMessage", "OnMessage"])
    func namesHaveAnyLetterCase(_ name: String) {
        let server = WebSocketServer(port: 0)
        #expect(!server.handles(.message))
        server.on(name) { (server, frame: Frame) in server.push(frame, to: frame.fd) }
        #expect(server.handles(.message) && !server.handles(.open) && error(server) == "")
        #expect(ServerEvent(name) == .message)
    }

    @Test func everyEventHasAName() {
        let server = WebSocketServer(port: 0)
        let udp = server.listen(.udp)
        let tcp = server.listen(.tcp)
        for name in [
            "start", "beforeShutdown", "shutdown", "managerStart", "managerStop", "beforeReload", "afterReload",
        ] {
            server.on(name) { _ in }
        }
        for name in ["workerStart", "workerExit", "workerStop"] { server.on(name) { (_, _: Int) in } }
        server.on("workerError") { (_, failure: WorkerFailure) in print(failure) }
        server.on("clusterState") { (_, state: ClusterState) in print(state) }
        for name in ["join", "leave"] { server.on(name) { (_, _: String, _: TopicMember) in } }
        server.on("pipeMessage") { (_, _: Int, _: [UInt8]) in }
        server.on("task") { (_, task: ServerTask) in "done" }
        server.on("finish") { (_, _: TaskID, _: [UInt8]) in }
        server.on("taskError") { (_, _: TaskID, _: TaskError) in }
        server.on("handshake") { (_: Request, handshake: Handshake) in handshake.refuse() }
        server.on("open") { (_, _: Request) in }
        server.on("message") { server, frame in server.push(frame, to: frame.fd) }
        server.on("request") { (_: Request, response) in response.end() }
        server.on("drain") { (_, _: ConnectionID) in }
        server.on("close") { (_, _: ConnectionID, _: CloseReason) in }
        tcp.on("connect") { (_, _: ConnectionID) in }
        tcp.on("receive") { server, fd, bytes in server.send(bytes, to: fd) }
        udp.on("packet") { (server, bytes: [UInt8], sender: SocketAddress) in server.send(bytes, to: sender) }
        #expect(error(server) == "")
        for event in ServerEvent.allCases {
            let handlers = [server.handles(event), tcp.handles(event), udp.handles(event)]
            #expect(handlers.contains(true), "\(event)")
        }
        #expect(server.configuration().handlers.workerExit != nil)
        #expect(server.configuration().handlers.afterReload != nil && server.configuration().tasks.task != nil)
    }

    @Test func asynchronousHandlersByName() async {
        let server = WebSocketServer(port: 0)
        let port = server.listen()
        server.on("message") { (server, frame: Frame) in await server.sleep(for: .zero) }
        server.on("workerStart") { (server, id: Int) in await server.sleep(for: .zero) }
        port.on("request") { (request: Request, response: Response) in await Task.yield() }
        #expect(error(server) == "")
        #expect(server.handles(.message) && server.handles(.workerStart) && port.handles(.request))
        server.on("workerStop") { (server, id: Int) in await server.sleep(for: .zero) }
        #expect(error(server).hasSuffix("the handler must have the form { (server, id: Int) in }, without async"))
    }

    @Test func unknownNames() {
        func error(_ name: String) -> String {
            let server = WebSocketServer(port: 0)
            server.on(name) { _ in }
            server.on("start") { _ in }
            return self.error(server)
        }
        #expect(error("strat").hasSuffix("on(\"strat\"): there is no such event; did you mean \"start\"?"))
        #expect(error("onMesage").hasSuffix("there is no such event; did you mean \"message\"?"))
        #expect(error("strat").hasPrefix("SwiftServerTests/EventTests.swift:"))
        #expect(error("handshakes and more").contains("; the events are start, beforeShutdown, "))
        #expect(error("").contains("there is no such event") && error("on").contains("there is no such event"))
        #expect(error("shutdown") == "")
    }

    @Test func otherForms() {
        let server = WebSocketServer(port: 0)
        server.on("message") { (server, request: Request) in print(request) }
        #expect(
            error(server).hasSuffix("on(\"message\"): the handler must have the form { (server, frame: Frame) in }"))
        #expect(!server.handles(.message))
        let other = Server(port: 0)
        other.on("Close") { (server, fd: ConnectionID) in server.close(fd) }
        #expect(error(other).contains("{ (server, fd: ConnectionID, reason: CloseReason) in }"))
    }

    @Test func handlersWithoutAPort() {
        let http = HTTPServer(host: "127.0.0.1", port: 8080)
        http.onReceive { server, fd, bytes in server.send(bytes, to: fd) }
        let cause = "http port 127.0.0.1:8080 cannot have an onReceive handler, which needs a .tcp port; there is none"
        #expect(error(http) == cause)
        let tcp = http.listen(port: 8081, .tcp)
        #expect(error(http) == "", "the new port has the handler of the server")
        tcp.onRequest { _, response in response.end() }
        #expect(
            error(http).contains("tcp port 127.0.0.1:8081 cannot have an onRequest handler, which needs a .http or"))
        let server = WebSocketServer(port: 0)
        server.listen(.tcp).onMessage { _, _ in }
        #expect(error(server).hasSuffix("cannot have an onMessage handler, which needs a .webSocket port"))
        let plain = HTTPServer(port: 0)
        plain.onClose { _, _, _ in }
        #expect(error(plain).contains("onClose handler, which needs a .webSocket or .tcp port"))
    }

    @Test func webSocketsNeedTheirServer() {
        let server = Server(port: 0)
        server.listen(port: 1, .webSocket)
        let error = #expect(throws: ServerError.self) { try server.checkEvents() }
        #expect(error?.message == "webSocket port 127.0.0.1:1 needs a WebSocketServer")
    }

    @Test func theLastHandlerCounts() {
        let server = WebSocketServer(port: 0)
        var called: [String] = []
        server.onStart { _ in called.append("first") }
        server.on("start") { _ in called.append("second") }
        server.configuration().handlers.start?()
        #expect(called == ["second"])
    }

    @Test func aLimitedNumberOfErrorsIsLogged() {
        var limit = FailureLimit()
        let now = ContinuousClock.now
        for _ in 0..<FailureLimit.most { #expect(limit.admit(at: now) == 0) }
        for _ in 0..<3 { #expect(limit.admit(at: now + .milliseconds(999)) == nil) }
        #expect(limit.admit(at: now + .seconds(1)) == 3)
        #expect(limit.admit(at: now + .seconds(1)) == 0)
    }

    @Test func errorsAreOneLine() {
        struct Long: Error, CustomStringConvertible { let description: String }
        #expect(HandlerFailures.text(Long(description: "a\nb\r\nc")) == "a b c")
        #expect(HandlerFailures.text(Long(description: String(repeating: "x", count: 5000))).count == 1000)
        #expect(HandlerFailures.text(Long(description: "")) == "Long")
    }
}
