internal import Glibc

/// Lists of connections, and their close.
extension ControlCommands {
    /// The limits of one answer: a client gets the rest by further requests with `after`, so that the master does
    /// other work in between.
    private static let mostListed = 1000
    private static let mostExamined = 20_000
    /// The connections that one request may close.
    private static let mostClosed = 1000

    /// The connections that a list has.
    private struct Filter {
        var port: Int?
        var state: String?
        var worker: Int?
        var user: Int?
        var address: String?
        /// The least seconds for which it has sent nothing.
        var idle: Double?
        /// The least bytes in its output queue.
        var queued: Int?
        var limit = 100
        var after: UInt32 = 0

        init(_ query: Request.Query) throws(Refusal) {
            for (name, value) in Array(query) {
                switch name {
                case "port": port = try ControlCommands.number(name, value, 0...65_535)
                case "state":
                    guard Filter.states.contains(value) else {
                        throw Refusal("state must be one of \(Filter.states.joined(separator: ", "))")
                    }
                    state = value
                case "worker": worker = try ControlCommands.number(name, value, 0...65_535)
                case "user": user = try ControlCommands.number(name, value, 1...Int(UInt32.max))
                case "address": address = value
                case "idle":
                    guard let seconds = Double(value), seconds >= 0, seconds.isFinite else {
                        throw Refusal("idle must be a number of seconds, got \"\(value)\"")
                    }
                    idle = seconds
                case "queued": queued = try ControlCommands.number(name, value, 0...Int.max)
                case "limit": limit = try ControlCommands.number(name, value, 1...ControlCommands.mostListed)
                case "after": after = UInt32(try ControlCommands.number(name, value, 0...Int(UInt32.max)))
                default: throw Refusal("unknown argument \"\(name)\"")
                }
            }
        }

        static let states = ["http", "websocket", "stream", "closing"]

        func accepts(_ info: ConnectionInfo, _ state: String, now: Double) -> Bool {
            (port ?? info.serverPort) == info.serverPort && (self.state ?? state) == state
                && (worker ?? info.workerID) == info.workerID && (user == nil || user == info.userID)
                && (address ?? info.remoteAddress) == info.remoteAddress
                && (idle ?? 0) <= max(0, now - info.lastReceiveTime) && (queued ?? 0) <= info.queuedBytes
        }
    }

    /// The number that an argument of a query has.
    static func number(_ name: String, _ value: String, _ range: ClosedRange<Int>) throws(Refusal) -> Int {
        guard let number = Int(value), range.contains(number) else {
            throw Refusal("\(name) must be \(range.lowerBound) to \(range.upperBound), got \"\(value)\"")
        }
        return number
    }

    func list(_ request: Request) throws(Refusal) -> (Int, JSONText) {
        let filter = try Filter(request.query)
        let all = Connections(bus: monitor.bus)
        let now = Double(Request.milliseconds(CLOCK_REALTIME)) / 1000
        var cursor = filter.after
        var (found, examined, isComplete): ([JSONText], Int, Bool) = ([], 0, false)
        while found.count < filter.limit, examined < ControlCommands.mostExamined {
            let page = all.page(after: &cursor, limit: min(256, filter.limit - found.count))
            isComplete = page.isEmpty
            if isComplete { break }
            examined += page.count
            for fd in page {
                guard let info = ConnectionInfo(fd, monitor.bus, server) else { continue }
                let state = ControlCommands.state(info, server)
                if filter.accepts(info, state, now: now) { found.append(describe(info, state, now: now)) }
            }
        }
        return (
            200,
            JSONText([
                "total": JSONText(all.count), "connections": JSONText(found),
                "next": isComplete ? .null : JSONText(cursor),
            ])
        )
    }

    private static func state(_ info: ConnectionInfo, _ server: ConnectionInfo.Server) -> String {
        switch info.webSocketStatus {
        case .established: "websocket"
        case .closing: "closing"
        case .none where server.ports.indices.contains(info.portIndex) && server.ports[info.portIndex].type == .tcp:
            "stream"
        default: "http"
        }
    }

    private func describe(_ info: ConnectionInfo, _ state: String, now: Double) -> JSONText {
        func age(_ time: Double) -> JSONText { JSONText((max(0, now - time) * 1000).rounded() / 1000) }
        let address =
            info.remotePort == 0
            ? info.remoteAddress
            : info.remoteAddress.contains(":")
                ? "[\(info.remoteAddress)]:\(info.remotePort)" : "\(info.remoteAddress):\(info.remotePort)"
        return JSONText([
            // As text: programs that read numbers as floating point would change it.
            "id": JSONText("\(info.fd)"), "state": JSONText(state), "port": JSONText(info.serverPort),
            "address": JSONText(address), "tls": JSONText(info.isSecure), "worker": JSONText(info.workerID),
            "reactor": JSONText(info.reactorID), "user": JSONText(info.userID),
            "subprotocol": JSONText(info.subprotocol), "age": age(info.connectTime),
            "idle": age(info.lastReceiveTime), "queuedBytes": JSONText(info.queuedBytes),
        ])
    }

    // MARK: Closing

    func close(_ request: Request) throws(Refusal) -> (Int, JSONText) {
        let members = try members(request, ["ids", "code", "reason"])
        guard let texts = members["ids"]?.strings else {
            throw Refusal("ids must be an array of the ids of connections, as text")
        }
        guard texts.count <= ControlCommands.mostClosed else {
            throw Refusal("ids must be at most \(ControlCommands.mostClosed) connections, got \(texts.count)")
        }
        var ids: [ConnectionID] = []
        for text in texts {
            guard let number = UInt64(text), number > 0 else { throw Refusal("\"\(text)\" is no id of a connection") }
            ids.append(ConnectionID(rawValue: number))
        }
        let number = members["code"].map { $0.number ?? -1 } ?? 1000
        guard let code = UInt16(exactly: number), ControlCommands.isCode(code) else {
            throw Refusal("code must be 1000 to 1003, 1007 to 1014, or 3000 to 4999")
        }
        let reason = members["reason"].map { $0.string } ?? ""
        guard let reason, reason.utf8.count <= 123 else { throw Refusal("reason must be text of at most 123 bytes") }
        let results = ids.map { connections.close($0, code, reason) }
        let accepted = results.count { $0.isAccepted }
        let gone = results.count { $0 == .closed }
        return (
            202,
            JSONText([
                "closing": JSONText(accepted), "gone": JSONText(gone),
                "failed": JSONText(results.count - accepted - gone),
            ])
        )
    }

    /// Whether a close frame may have the code.
    private static func isCode(_ code: UInt16) -> Bool {
        (1000...1003).contains(code) || (1007...1014).contains(code) || (3000...4999).contains(code)
    }
}
