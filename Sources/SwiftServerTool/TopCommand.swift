import Glibc
import SwiftServer

/// `top`: draws the state of a server again and again.
struct TopCommand {
    private let client: ControlClient
    private let interval: Duration
    private static let mostHistory = 1000

    init(_ client: ControlClient, _ arguments: Arguments) throws {
        self.client = client
        interval = .seconds(try arguments.seconds("interval", 0.1...3600) ?? 1)
        guard Terminal.isPresent else {
            throw Failure(.failed, "top needs a terminal; \"swiftserver status\" does not")
        }
    }

    private func sample() async throws -> TopScreen.Sample {
        let status = try await client.status()
        let pids = Set(status.processes.compactMap(\.pid) + [status.pid])
        let use = pids.compactMap { pid in ProcessUse(pid: pid).map { (pid, $0) } }
        return TopScreen.Sample(
            status: status, time: ContinuousClock.now.seconds, use: Dictionary(uniqueKeysWithValues: use))
    }

    func run() async throws {
        var now = try await sample()
        var before: TopScreen.Sample?
        var history: [Double] = []
        var (note, isPaused): (String?, Bool) = (nil, false)
        let terminal = Terminal()
        terminal.begin()
        defer { terminal.restore() }
        var due = ContinuousClock.now + interval
        while !Terminal.mustEnd {
            let size = Terminal.size
            let screen = TopScreen(width: size.width, height: size.height)
            terminal.draw(screen.lines(now, before: before, history: history, note: note))
            switch terminal.key(within: due - .now) {
            case UInt8(ascii: "q"), UInt8(ascii: "Q"), 3, 4: return
            case UInt8(ascii: "p"):
                isPaused.toggle()
                note = isPaused ? "paused   p continue   q quit" : nil
            default: break
            }
            guard ContinuousClock.now >= due else { continue }
            due = .now + interval
            if isPaused { continue }
            do {
                let next = try await sample()
                (before, now, note) = (now, next, nil)
                let rate = TopScreen.Rate(now, before)
                let messages = [rate.value("messagesReceived"), rate.value("messagesSent")].compactMap { $0 }
                history.append(messages.reduce(0, +))
                if history.count > TopCommand.mostHistory { history.removeFirst() }
            } catch let failure as Failure {
                note = failure.message
            }
        }
    }
}

extension ContinuousClock.Instant {
    /// Seconds since the program asked for the first time.
    fileprivate var seconds: Double { (self - ContinuousClock.Instant.first) / .seconds(1) }
    private static let first = ContinuousClock.now
}
