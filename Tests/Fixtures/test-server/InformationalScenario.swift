import SwiftServer

/// Informational responses before and, in vain, after the head of a response.
@MainActor enum InformationalScenario {
    static func register(_ server: WebSocketServer) {
        server.get("/hints") { _, response in
            var results = [
                response.sendInformational(103, ["Link": "</a.css>; rel=preload", "link": "</b.js>; rel=preload"]),
                response.sendInformational(102),
                response.sendInformational(101), response.sendInformational(200),
                response.sendInformational(103, ["a b": "c"]), response.sendInformational(103, ["a": "b\r\nc: d"]),
                response.sendInformational(103, ["a": String(repeating: "b", count: 70_000)]),
            ]
            response.header("X-Own", "1")
            // The output queue is empty, so the piece fits.
            _ = response.write("begun ")
            results.append(response.sendInformational(103))
            let text = results.map(\.description).joined(separator: ",")
            response.end(text)
            if response.sendInformational(103) != .ended { server.shutdown() }
        }
    }
}
