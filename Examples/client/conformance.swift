import SwiftServer

// The cases of the Autobahn suite: the server sends what it likes, and the client echoes each message.

private func settings(_ settings: inout WebSocketClientSettings) {
    settings.compression = Compression()
    settings.compression?.contextTakeover = true
    settings.compression?.threshold = 1
    settings.maxMessage = 64 << 20
    settings.maxQueue = 64 << 20
}

func runCases(_ url: String, _ agent: String) async throws {
    let client = try await WebSocketClient.connect(url + "/getCaseCount")
    let count = try await client.recv().flatMap { Int($0.text) } ?? 0
    for number in 1...max(1, count) {
        do {
            let client = try await WebSocketClient.connect("\(url)/runCase?case=\(number)&agent=\(agent)", settings)
            for try await frame in client.frames { try await client.push(frame) }
        } catch {
            // Many cases end with an error on purpose; the server judges them.
        }
    }
    let report = try await WebSocketClient.connect("\(url)/updateReports?agent=\(agent)")
    while try await report.recv() != nil {}
}

func runCasesBlocking(_ url: String, _ agent: String) throws {
    let socket = try BlockingWebSocket.connect(url + "/getCaseCount")
    let count = try socket.recv().flatMap { Int($0.text) } ?? 0
    for number in 1...max(1, count) {
        do {
            let socket = try BlockingWebSocket.connect("\(url)/runCase?case=\(number)&agent=\(agent)", settings)
            while let frame = try socket.recv() { try socket.push(frame) }
        } catch {
            // Many cases end with an error on purpose; the server judges them.
        }
    }
    let report = try BlockingWebSocket.connect("\(url)/updateReports?agent=\(agent)")
    while try report.recv() != nil {}
}
