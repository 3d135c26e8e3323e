import CReactor
import Glibc
import Testing

@testable import SwiftServer

@Suite struct CloseReasonTests {
    private func payload(
        _ reason: UInt32, code: UInt16, error: Int32 = 0, text: String = "", length: Int? = nil
    ) -> [UInt8] {
        let closed = cre_closed(
            reason: UInt16(reason), code: code, error: error, text_length: UInt16(length ?? text.utf8.count),
            reserved: (0, 0, 0))
        return unsafe withUnsafeBytes(of: closed) { unsafe [UInt8]($0) } + text.utf8
    }

    private func decode(_ payload: [UInt8]) -> CloseReason? {
        unsafe payload.withUnsafeBytes { unsafe CloseReason($0) }
    }

    @Test func peerAndItsWords() throws {
        let reason = try #require(decode(payload(1, code: 4000, text: "bye ä")))
        #expect(reason.cause == .peer && reason.code == 4000 && reason.text == "bye ä")
        #expect(reason.description == "closed by the peer (4000, bye ä)")
    }

    @Test func errorsAreSpeltOut() throws {
        let reason = try #require(decode(payload(3, code: 1002, error: -104)))
        #expect(reason.cause == .protocolError && reason.code == 1002)
        #expect(reason.text == errorText(-104) && !reason.text.isEmpty)
        #expect(reason.errno == 104)
        #expect(try #require(decode(payload(3, code: 1002, error: CRE_EWS_UTF8.rawValue))).errno == 0)
        #expect(try #require(decode(payload(1, code: 1000))).errno == 0)
    }

    static let causes: [(UInt32, CloseReason.Cause)] = [
        (1, .peer), (2, .server), (3, .protocolError), (4, .timeout), (5, .overflow), (6, .socketError), (7, .shutdown),
        (8, .outOfMemory),
    ]

    @Test(arguments: causes)
    func causesHaveDifferentNames(_ number: UInt32, _ cause: CloseReason.Cause) throws {
        let reason = try #require(decode(payload(number, code: 1006)))
        #expect(reason.cause == cause)
        #expect(!cause.description.isEmpty && reason.description == "\(cause) (1006)")
    }

    @Test func causesAreNamedInWords() {
        #expect(CloseReason.Cause.peer.description == "closed by the peer")
        #expect(CloseReason.Cause.server.description == "closed by the server")
        #expect(CloseReason.Cause.protocolError.description == "protocol error")
        #expect(CloseReason.Cause.heartbeat.description == "heartbeat timeout")
        #expect(CloseReason.Cause.shutdown.description == "server shutdown")
    }

    @Test func sizesThatDoNotAddUpAreRefused() {
        #expect(decode([]) == nil)
        #expect(decode([UInt8](payload(1, code: 1000).dropLast())) == nil)
        #expect(decode(payload(1, code: 1000, text: "abc", length: 2)) == nil)
        #expect(decode(payload(1, code: 1000, text: "abc", length: 4)) == nil)
    }
}

@Suite struct PushResultTests {
    @Test func resultsOfTheCore() {
        #expect(PushResult(0, local: true) == .sent)
        #expect(PushResult(0, local: false) == .queued)
        for local in [true, false] {
            #expect(PushResult(CRE_EGONE.rawValue, local: local) == .closed)
            #expect(PushResult(CRE_ENOT_WEBSOCKET.rawValue, local: local) == .notWebSocket)
            #expect(PushResult(CRE_EQUEUE_FULL.rawValue, local: local) == .full)
            #expect(PushResult(CRE_ELINK_FULL.rawValue, local: local) == .full)
            #expect(PushResult(CRE_ENOMEM.rawValue, local: local) == .full)
            #expect(PushResult(CRE_EINVALID.rawValue, local: local) == .invalid)
            #expect(PushResult(CRE_ELIMIT.rawValue, local: local) == .invalid)
            #expect(PushResult(-EMSGSIZE, local: local) == .invalid)
            #expect(PushResult(-EHOSTUNREACH, local: local) == .failed)
            #expect(PushResult(-ECONNREFUSED, local: local) == .failed)
        }
    }

    @Test func onlyTwoAreGood() {
        let all: [PushResult] = [.sent, .queued, .closed, .notWebSocket, .notStream, .full, .invalid, .failed]
        #expect(all.filter(\.isAccepted) == [.sent, .queued])
        #expect(Set(all.map(\.description)).count == all.count)
    }
}

@Suite struct FrameTests {
    @Test func ownsItsBytes() {
        let frame = Frame(fd: ConnectionID(rawValue: 3), bytes: [UInt8]("grün".utf8))
        #expect(frame.text == "grün" && frame.opcode == .text && frame.finish && frame.fd.rawValue == 3)
        #expect(frame.withBytes { $0.byteCount } == 5)
        #expect(Frame(fd: frame.fd, opcode: .binary, bytes: frame.bytes) != frame)
    }

    @Test func opcodesHaveNames() {
        let known: [Opcode] = [.continuation, .text, .binary, .close, .ping, .pong]
        #expect(known.map(\.rawValue) == [0, 1, 2, 8, 9, 10])
        #expect(known.map(\.description) == ["continuation", "text", "binary", "close", "ping", "pong"])
        #expect(Opcode(rawValue: 5).description == "opcode 5")
    }

    @Test func connectionsAreOrdered() {
        #expect(ConnectionID(rawValue: 2) < ConnectionID(rawValue: 10))
        #expect(ConnectionID(rawValue: .max).description == "18446744073709551615")
    }
}

@Suite struct ServerBeforeItsStartTests {
    @Test func nothingIsThere() {
        let server = WebSocketServer(port: 9501)
        let fd = ConnectionID(rawValue: 1)
        #expect(Array(server.connections).isEmpty && server.connections.count == 0)
        #expect(!server.exists(fd) && !server.isEstablished(fd) && !server.close(fd))
        #expect(server.push("text", to: fd) == .closed && server.push([1], to: fd) == .closed)
        let pushed = Frame(fd: fd, bytes: [1]).withBytes { server.push($0, to: fd) }
        #expect(pushed == .closed)
        #expect(server.workerID == -1 && server.masterPID == 0 && server.managerPID == 0)
        server.shutdown()
    }

    @Test func commandsHaveNoWorker() {
        let server = WebSocketServer(port: 9501)
        let fd = ConnectionID(rawValue: 1)
        let results: [CommandResult] = [
            server.close(fd), server.close(fd, reset: true), server.pause(fd), server.resume(fd), server.protect(fd),
            server.bind(fd, to: 1), server.bind(fd, to: 0), server.connection(fd).close(),
        ]
        #expect(results.allSatisfy { $0 == .notInWorker && !$0.isAccepted })
        #expect(CommandResult.done.isAccepted && CommandResult.queued.isAccepted && !CommandResult.full.isAccepted)
    }

    @Test func missingHandlersAreNamed() throws {
        let webSocket = try #require(throws: ServerError.self) {
            try WebSocketServer(port: 9501).configuration().checkHandlers()
        }
        #expect(webSocket.code == .missingHandler && webSocket.message.contains("onMessage"))
        let http = try #require(throws: ServerError.self) { try HTTPServer(port: 9502).configuration().checkHandlers() }
        #expect(http.code == .missingHandler && http.message.contains("onRequest"))
        #expect(http.description.hasPrefix("missingHandler: "))
        let complete = HTTPServer(port: 9503)
        complete.onRequest { _, response in response.end() }
        try complete.configuration().checkHandlers()
    }

    @Test func tableOfANewBusIsEmpty() throws {
        let bus = try Bus(Settings().busConfig(nodes: 2))
        let connections = Connections(bus: bus)
        #expect(Array(connections).isEmpty && connections.count == 0)
        #expect(!connections.contains(ConnectionID(rawValue: 1)) && !connections.contains(ConnectionID(rawValue: .max)))
        #expect(bus.pid(ofNode: 1) == 0)
    }
}
