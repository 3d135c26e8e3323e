import SwiftServer
import TestProtocol

/// Control frames in `onMessage`, on further ports that deliver one kind each, and in a straight-line handler.
@MainActor enum ControlScenario {
    static func register(_ server: WebSocketServer, _ configuration: Configuration) {
        server.settings.deliversCloseFrames = true
        server.settings.deliversPings = true
        server.settings.deliversPongs = true
        server.onMessage { server, frame in receive(frame, server) }
        Scenarios.reportClosing(server)
        let plain = server.listen(.webSocket)
        plain.settings.deliversCloseFrames = false
        plain.settings.deliversPings = false
        plain.settings.deliversPongs = false
        plain.onMessage { server, frame in receive(frame, server) }
        server.handle("/line") { request, ws in
            try await ws.upgrade()
            var pings = 0
            while let frame = try await ws.recv() {
                switch frame.opcode {
                case .ping:
                    pings += 1
                    try await ws.push(frame.bytes, opcode: .pong)
                case .text where frame.text == "pings": try await ws.push("\(pings)")
                case .close where frame.closeFrame?.reason == "choose":
                    ws.close(code: 4321, reason: "chosen")
                default: try await ws.push("\(frame.opcode) \(frame.closeFrame?.description ?? frame.text)")
                }
            }
        }
        // Answers nothing.
        server.handle("/silent") { request, ws in
            try await ws.upgrade()
            while try await ws.recv() != nil {}
        }
    }

    private static func receive(_ frame: Frame, _ server: WebSocketServer) {
        switch frame.opcode {
        case .ping: server.push(frame.bytes + [UInt8(ascii: "!")], to: frame.fd, opcode: .pong)
        case .close: receive(close: frame, server)
        case .text:
            switch frame.text {
            case "close": push(CloseFrame(code: 4002, reason: "pushed"), frame.fd, server)
            case "bad":
                let results = [
                    server.push([3], to: frame.fd, opcode: .close),
                    server.push([], to: frame.fd, opcode: .close, finish: false),
                    server.push(CloseFrame(code: 1000).payload, to: ConnectionID(rawValue: 9), opcode: .close),
                ]
                server.push(results.map(\.description).joined(separator: " "), to: frame.fd)
            default: server.push(frame, to: frame.fd)
            }
        default: server.push("\(frame.opcode) \(frame.text)", to: frame.fd)
        }
    }

    private static func receive(close frame: Frame, _ server: WebSocketServer) {
        guard let close = frame.closeFrame else { return Event.outcome("malformed").report() }
        Event.outcome("\(close)").report()
        switch close.reason {
        case "echo": server.push(frame, to: frame.fd)
        case "choose": push(CloseFrame(code: 4321, reason: "chosen"), frame.fd, server)
        case "detached": Task.detached { server.push(frame, to: frame.fd) }
        default: break
        }
    }

    private static func push(_ close: CloseFrame, _ fd: ConnectionID, _ server: WebSocketServer) {
        Event.outcome("\(server.push(Frame(fd: fd, close), to: fd).isAccepted)").report()
    }
}
