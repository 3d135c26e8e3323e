import CReactorInternal
import Glibc

@testable import SwiftServer

/// What the manager does, and what can be seen from outside.
extension SimulatedServer: ProcessSystem {
    func start(_ id: Int, fromProgram: Bool) throws(ServerError) -> Int32 {
        if let other = living.first(where: { $0.seat == id && !$0.isCandidate && !$0.isKilled }) {
            fail("\(layout.name(of: id)) is started beside \(describe(other))")
        }
        return try spawn(id, isCandidate: false, fromProgram: fromProgram).pid
    }

    func prepare(_ id: Int, fromProgram: Bool) throws(ServerError) -> Int32 {
        if openChannels > 0 { fail("two successors at once") }
        let process = try spawn(id, isCandidate: true, fromProgram: fromProgram)
        openChannels += 1
        candidate = process
        reports = []
        return process.pid
    }

    func report() -> ControlChannel.Report {
        killSomebody()
        if openChannels == 0 { fail("a report is read without a channel") }
        guard !reports.isEmpty else { return .nothing }
        // Two that have arrived are read together, and the first of them counts for nothing then.
        if reports.count > 1, reports.first == .started { reports.removeFirst() }
        return reports.removeFirst()
    }

    func letBegin() {
        killSomebody()
        guard let process = candidate else { return fail("permission without a successor") }
        when(process, after: chance.number(0...5)) { [self] in
            process.isCandidate = false
            open(process)
            serve(process)
        }
    }

    func endChannel() {
        if openChannels == 0 { fail("a channel is closed twice") }
        openChannels = 0
        // It reads the end of the channel, unless permission was there before.
        if let process = candidate, process.phase == .waiting {
            when(process, after: 6) { [self] in
                if process.isCandidate { die(process, code: 0, signal: 0) }
            }
        }
        candidate = nil
        reports = []
    }

    func isStopped(_ pid: Int32) -> Bool { false }

    func send(_ signal: Int32, to pid: Int32) {
        killSomebody()
        guard let process = processes.last(where: { $0.pid == pid && $0.isAlive }) else {
            if !ended.contains(where: { $0.pid == pid }) { fail("signal \(signal) to \(pid), which is no child") }
            return
        }
        note("signal \(signal) to \(describe(process))")
        if signal == SIGKILL { end(killing: process) } else if signal != SIGHUP { stop(process, by: signal) }
    }

    func sendStop(to pid: Int32, within limit: Duration) {
        if limit <= .zero { fail("a stop without time") }
        send(Signals.stop, to: pid)
    }

    func activity(of id: Int) -> Activity {
        var raw = cre_activity()
        raw.running = shown[id].since != nil
        raw.running_ms = UInt64(time - (shown[id].since ?? time))
        raw.kind = shown[id].kind
        raw.ending = shown[id].ending
        raw.served = shown[id].served
        return Activity(raw)
    }

    func pid(of id: Int) -> Int32 { shown[id].pid }

    /// Simulated processes publish no turns: nobody misses them.
    func wake(_ id: Int) {}

    func forget(_ id: Int) {
        shown[id].pid = 0
        shown[id].since = nil
        shown[id].ending = 0
    }

    func count(_ event: ProcessEvent, of id: Int?) { counts[event, default: 0] += 1 }

    func adoptProgram() { usesProgram = true }

    func requestShutdown() { wantsShutdown = true }

    func log(_ level: LogLevel, _ message: @autoclosure () -> String) { note("log: \(message())") }

    /// The application is notified of the end of a process.
    func reported(_ failure: WorkerFailure) {
        if isStopping { return }
        unreported[failure.pid] = nil
    }

    /// Abnormal ends that nobody was notified of.
    var unreportedEnds: Int { unreported.count }

    /// Workers that serve now.
    var servingWorkers: Int {
        processes.count { $0.phase == .serving && $0.isOpen && layout.role(of: $0.seat) == .worker }
    }

    /// Whether every place has a process that serves.
    var isComplete: Bool {
        (0..<layout.processes).allSatisfy { id in
            // A reload does not replace custom processes: one that hangs stays.
            let isManaged = layout.role(of: id).isManaged
            return processes.contains {
                $0.seat == id && $0.reacts && (!isManaged || ($0.phase == .serving && $0.isOpen && !$0.isStuck))
            }
        }
    }

    /// Whether no process is about to end, and no signal is on its way.
    var isQuiet: Bool { signals.isEmpty && ended.isEmpty && living.allSatisfy { !$0.isKilled && $0.phase != .ending } }

    func counted(_ event: ProcessEvent) -> Int { counts[event] ?? 0 }

    /// The manager must not take turns while nothing happens.
    func checkTurns() {
        turns = turns.time == time ? (time, turns.count + 1) : (time, 1)
        if turns.count > 200 { fail("the manager is busy, but nothing happens") }
    }
}
