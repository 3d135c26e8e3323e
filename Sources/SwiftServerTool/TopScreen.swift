import SwiftServer

/// The screen of `top`: lines of text, made from two states of a server.
struct TopScreen {
    /// The state of a server at one moment.
    struct Sample {
        let status: Status
        /// Seconds of a clock that only grows.
        let time: Double
        let use: [Int32: ProcessUse]
    }

    let width: Int
    let height: Int

    /// The lines, at most `height` of them, none longer than `width`.
    ///
    /// - Parameters:
    ///   - history: messages per second, the newest last.
    ///   - note: shown in place of the keys.
    func lines(_ now: Sample, before: Sample?, history: [Double] = [], note: String? = nil) -> [String] {
        let status = now.status
        let rate = Rate(now, before)
        let state =
            status.stopping
            ? "STOPPING"
            : status.reloading ? "reloading" : status.ready ? "ready" : "not ready: \(status.obstacles.first ?? "")"
        let queued = Double(status.number("queuedBytes") + status.number("transitBytes"))
        var lines = [
            "pid \(status.pid)  \(status.mode) mode  up \(Amount.time(status.uptime))  log \(status.logLevel)  \(state)",
            "connections \(status.number("connections")) of \(status.maxConnections)  "
                + "+\(rate.text("accepted"))/s -\(rate.text("closed"))/s  queued \(Amount.bytes(queued))",
            "messages \(rate.text("messagesReceived"))/s in, \(rate.text("messagesSent"))/s out  "
                + "requests \(rate.text("requests"))/s  "
                + "bytes \(rate.bytes("bytesReceived"))/s in, \(rate.bytes("bytesSent"))/s out",
            "messages per second  " + TopScreen.graph(history, width: max(0, width - 21)), "",
        ]
        lines += processes(now, before, rate, rows: height - lines.count - 1)
        lines += [String](repeating: "", count: max(0, height - lines.count - 1))
        lines.append(note ?? "q quit   p pause")
        return lines.suffix(height).map { Text.cut(Text.visible($0), width) }
    }

    private func processes(_ now: Sample, _ before: Sample?, _ rate: Rate, rows: Int) -> [String] {
        var table = Table([
            ("PROCESS", .left), ("PID", .right), ("CPU%", .right), ("MEMORY", .right), ("STATUS", .left),
            ("CALLS/S", .right), ("MSG/S", .right), ("QUEUED", .right), ("NOW", .left),
        ])
        let master = now.use[now.status.pid]
        table.rows = [
            ["master", "\(now.status.pid)", cpu(now.status.pid, now, before), memory(master), "", "", "", "", ""]
        ]
        if now.status.mode == "single" { table.rows = [] }
        let old = Dictionary(
            (before?.status.processes ?? []).map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        for process in now.status.processes {
            let last = old[process.name]
            // A reactor is a thread of the master.
            let pid = process.role == "reactor" ? nil : process.pid
            let messages = { (process: Status.Process) in process.messagesReceived + process.messagesSent }
            let owns = messages(process) > 0 || process.bytesReceived > 0
            table.rows.append([
                process.name, pid.map { "\($0)" } ?? "", pid.map { cpu($0, now, before) } ?? "",
                memory(pid.flatMap { now.use[$0] }), process.status,
                process.role == "reactor" ? "" : rate.text(process.calls, last?.calls),
                owns ? rate.text(messages(process), last.map(messages)) : "",
                owns ? Amount.bytes(Double(process.queuedBytes)) : "", Report.now(process),
            ])
        }
        let lines = table.lines
        guard lines.count > rows, rows > 1 else { return Array(lines.prefix(max(0, rows))) }
        return lines.prefix(rows - 1) + ["… \(lines.count - rows + 1) more processes: enlarge the terminal"]
    }

    private func cpu(_ pid: Int32, _ now: Sample, _ before: Sample?) -> String {
        guard let use = now.use[pid], let last = before?.use[pid], let before, now.time > before.time else {
            return "-"
        }
        return Amount.short(max(0, use.time - last.time) / (now.time - before.time) * 100)
    }

    private func memory(_ use: ProcessUse?) -> String { use.map { Amount.bytes($0.memory) } ?? "" }

    /// A line of bars, the newest value at the right, scaled to the largest.
    static func graph(_ values: [Double], width: Int) -> String {
        let values = values.suffix(width)
        guard let most = values.max(), most > 0 else { return "" }
        let bars = Array("▁▂▃▄▅▆▇█")
        return String(values.map { bars[Int((max(0, $0) / most * 7).rounded())] })
    }

    /// Differences per second.
    struct Rate {
        private let (now, before): (Sample, Sample?)

        init(_ now: Sample, _ before: Sample?) { (self.now, self.before) = (now, before) }

        /// `nil` before the second sample, and for a counter that began again with another server.
        func value(_ count: Int, _ last: Int?) -> Double? {
            guard let before, let last, now.time > before.time, count >= last else { return nil }
            return Double(count - last) / (now.time - before.time)
        }

        func value(_ name: String) -> Double? {
            value(now.status.number(name), before?.status.number(name))
        }

        func text(_ count: Int, _ last: Int?) -> String { value(count, last).map { Amount.count($0) } ?? "-" }
        func text(_ name: String) -> String { value(name).map { Amount.count($0) } ?? "-" }
        func bytes(_ name: String) -> String { value(name).map { Amount.bytes($0) } ?? "-" }
    }
}
