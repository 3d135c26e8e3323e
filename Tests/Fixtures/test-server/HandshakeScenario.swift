import SwiftServer
import TestProtocol

/// Handshakes that a handler decides.
@MainActor enum HandshakeScenario {
    private struct Failure: Error {}

    static func register(_ server: WebSocketServer) {
        server.settings.subprotocols = ["v1", "v2"]
        server.settings.dispatch = .byUser
        server.onHandshake { request, handshake in try await decide(server, request, handshake) }
        server.onOpen { server, request in server.push("open \(describe(request.fd, server))", to: request.fd) }
        server.onMessage { server, frame in
            if let command = command(frame) {
                if let answer = Commands.common(command, server) { server.answer(answer, to: frame.fd) }
            } else {
                server.push("\(frame.text) \(describe(frame.fd, server))", to: frame.fd)
            }
        }
        Scenarios.reportClosing(server)
        server.onRequest { request, response in
            let states = server.connections.compactMap { server.connectionInfo($0)?.webSocketStatus.rawValue }
            response.end(states.sorted().map(String.init).joined(separator: " "))
        }
        server.handle("/straight") { request, ws in
            try await ws.upgrade(subprotocol: "v2")
            try await ws.push("straight \(ws.subprotocol ?? "-")")
            while try await ws.recv() != nil {}
            Event.outcome(ws.closeFrame.map { "\($0)" } ?? "no close frame").report()
        }
        server.handle("/pushes-close") { request, ws in
            try await ws.upgrade()
            try await ws.push(Frame(fd: ws.id, CloseFrame(code: 4001, reason: "bye")))
            while try await ws.recv() != nil {}
            do {
                try await ws.push(Frame(fd: ws.id, CloseFrame()))
            } catch { Event.outcome("\(error)").report() }
        }
        let port = server.listen(.webSocket)
        port.settings.handshakeTimeout = .milliseconds(50)
        port.onHandshake { request, handshake in
            if request.path == "/hangs" { await server.sleep(for: .seconds(1)) }
            handshake.refuse(status: 503, body: "not here")
        }
    }

    private static func decide(_ server: WebSocketServer, _ request: Request, _ handshake: Handshake) async throws {
        switch request.path {
        case "/accept":
            handshake.header("X-Room", "7")
            handshake.header("Set-Cookie", "a=b; HttpOnly")
            try handshake.accept(subprotocol: request.subprotocols.last, userData: [UInt8]("alice".utf8))
        case "/default": try handshake.accept()
        case "/none": try handshake.accept(subprotocol: "")
        case "/refuse":
            handshake.header("WWW-Authenticate", "Bearer")
            handshake.refuse(status: 401, body: "who are you?")
        case "/odd-status": handshake.refuse(status: 200)
        case "/fails":
            try handshake.accept()
            throw Failure()
        case "/not-offered": try handshake.accept(subprotocol: "v9")
        case "/large": try handshake.accept(userData: [UInt8](repeating: 0, count: 257))
        case "/full": try handshake.accept(userData: [UInt8](repeating: 120, count: 256))
        case "/slow":
            Event.asked.report()
            await server.sleep(for: .milliseconds(100))
            try handshake.accept(userData: [UInt8]("slow".utf8))
        case "/user": try handshake.accept(userID: request.query["id"].flatMap(Int.init))
        case "/crashes":
            Event.asked.report()
            await server.sleep(for: .milliseconds(20))
            fatalError("on purpose")
        case "/late":
            Event.asked.report()
            while server.exists(request.fd) { await server.sleep(for: .milliseconds(1)) }
            try handshake.accept()
            Event.outcome("accepted").report()
        default: break
        }
    }

    private static func describe(_ fd: ConnectionID, _ server: WebSocketServer) -> String {
        guard let info = server.connectionInfo(fd) else { return "gone" }
        let data = String(decoding: info.userData, as: UTF8.self)
        return "\(info.subprotocol ?? "-") \(data.isEmpty ? "-" : data) \(info.userID ?? 0) \(info.webSocketStatus)"
    }
}
