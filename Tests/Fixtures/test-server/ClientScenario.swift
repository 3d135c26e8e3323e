import SwiftServer
import TestProtocol

/// Workers that are clients of a server themselves.
@MainActor enum ClientScenario {
    static func register(_ server: WebSocketServer, _ configuration: Configuration) {
        if configuration.compresses == true { server.settings.compression = Compression() }
        server.handle("/echo") { request, ws in
            try await ws.upgrade()
            for try await frame in ws.frames { try await ws.push(frame) }
        }
        let client = HTTPClient()
        server.onRequest { request, response in
            guard request.path == "/fetch" else {
                response.end("hello \(request.fd)")
                return
            }
            Task {
                let isThere = Commands.isMainThread
                do {
                    let answer = try await client.get("http://127.0.0.1:\(server.port)/hello")
                    let text = try await answer.body.text(upTo: 100)
                    response.end("\(text) \(isThere) \(Commands.isMainThread)")
                } catch {
                    response.status(500)
                    response.end("\(error)")
                }
            }
        }
        // Passes messages on to another connection of its own, and the answers back.
        server.handle("/relay") { request, ws in
            try await ws.upgrade()
            let client = try await WebSocketClient.connect("ws://127.0.0.1:\(server.port)/echo")
            while let frame = try await ws.recv() {
                try await client.push("relayed \(frame.text) \(Commands.isMainThread)")
                guard let answer = try await client.recv(timeout: .seconds(20)) else { break }
                try await ws.push("\(answer.text) \(Commands.isMainThread)")
            }
            try await client.close()
        }
    }
}
