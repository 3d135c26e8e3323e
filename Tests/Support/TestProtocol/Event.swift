package import SwiftServer

/// What the processes of a fixture report on standard output, each on one line as JSON.
package enum Event: Codable, Hashable, Sendable {
    // The program and its processes
    case beforeStart
    case ready(port: Int, pid: Int32, ports: [Int])
    case returned
    case error(ServerError.Code, String)
    case sharedMemoryError(String)
    case shutdown(pid: Int32)
    case managerStart(pid: Int32)
    case managerStop(pid: Int32)
    case workerStart(id: Int, pid: Int32)
    case workerStop(id: Int, pid: Int32)
    case workerExit(id: Int, pid: Int32, WorkerStatus?)
    case workerError(id: Int, pid: Int32, exitCode: Int32, signal: Int32)
    case beforeShutdown(pid: Int32)
    case beforeReload(pid: Int32)
    case afterReload(pid: Int32)
    /// The result of `stop()` in onWorkerStart.
    case stopped(worker: Int, Bool)
    case executor(isLoop: Bool)
    // Tasks of the main actor before and after the server runs
    case firstTask
    case lastTask

    // Connections
    case open(ConnectionID)
    case close(ConnectionID, UInt16, CloseReason.Cause, String = "")
    /// Which worker a close was reported to.
    case closedIn(worker: Int, ConnectionID)
    case closeThread(isMain: Bool)
    /// Calls for a connection whose close is reported.
    case afterClose(isKnown: Bool, close: Bool, push: PushResult)
    case requestAfterClose(isKept: Bool)
    /// Two calls of close() and a push after them, and what is known of the connection then.
    case closedTwice(Bool, Bool, push: PushResult, exists: Bool, isEstablished: Bool)
    case closedStream(Bool, Bool, send: PushResult)
    case closing(Bool)
    case connect(ConnectionID)
    /// A close that a handler of a port reports.
    case gone(ConnectionID, UInt16, CloseReason.Cause, String = "")
    case packet(host: String, size: Int)
    case full(ConnectionID)
    case drained(ConnectionID)
    case portDrained(ConnectionID)
    case refused(PushResult)
    case detachedPush(PushResult, exists: Bool)
    case masterPush(PushResult)
    case clusterState(String)
    case joined(String, TopicMember)
    case left(String, TopicMember)
    /// Messages to connections of another kind, and to one that does not exist.
    case wrongKind(push: PushResult, send: PushResult)
    case wrongKindElsewhere(PushResult, PushResult)
    case lateResponse([String])
    case uploadFailed(Upload, RequestBodyFailure)
    case readAfterEnd
    // Memory that is shared with the master
    case overwritten
    case stopping(pid: Int32)
    case largeAnswer(Int, isAccepted: Bool)
    // Straight-line handlers
    case handlerEnd(open: Int, code: UInt16?)
    case asked
    case lateUpgrade(String)
    /// What a handler has found, in words.
    case outcome(String)
    case pushedLarge
    // Handlers in progress
    case blocked
    case received
    case held
    // A successor in onWorkerStart
    case ordered(worker: Int, StartOrder)
    case ticked(worker: Int)
    case pushed(worker: Int, PushResult)
    case taskResult(worker: Int)
    case sentInStart(PushResult)

    // Tasks and messages between processes
    case posted(from: Poster, Bool)
    case sent(from: Poster, PushResult)
    case note(String, worker: Int, wantsResult: Bool, wasTaken: Bool)
    case finish(id: UInt64, TaskResult?)
    case taskError(worker: Int, id: UInt64, error: String)
    case flood(wasRefused: Bool)
    case message(to: Int, from: Int, size: Int, PipeMessage)
    case process(Int, id: Int, pid: Int32)
    case accepted(Int)
    case timer(pid: Int32)

    // Signals and timers
    case takesSignals(Poster, pid: Int32)
    case windowSignal(pid: Int32)
    case ignoresWindowSignals(pid: Int32)
    case timers(Place, isValid: [Bool], cleared: [Bool], clearedAgain: [Bool])

    /// Processes by their role.
    package enum Poster: Codable, Hashable, Sendable {
        case master, manager, customProcess, taskWorker
        case worker(Int)
    }

    package enum Place: String, Codable, Sendable {
        case beforeStart, start, managerStart, workerStart
    }

    package enum RequestBodyFailure: String, Codable, Sendable {
        case incomplete, readTwice, cancelled, other
    }

    package enum CodingKeys: String, CodingKey {
        case beforeStart, ready, returned, error, sharedMemoryError, shutdown, managerStart, managerStop
        case workerStart, workerStop, workerExit, workerError, beforeShutdown, beforeReload, afterReload, stopped
        case executor, firstTask, lastTask
        case open, close, closedIn, closeThread, afterClose, requestAfterClose, closedTwice, closedStream, closing
        case connect, gone, packet, full, drained, portDrained, refused, detachedPush, masterPush, wrongKind
        case overwritten, stopping, largeAnswer, handlerEnd, asked, lateUpgrade, outcome, pushedLarge
        case wrongKindElsewhere, lateResponse, uploadFailed, readAfterEnd, blocked, received, held
        case ordered, ticked, pushed, taskResult, sentInStart
        case posted, sent, note, finish, taskError, flood, message, process, accepted, timer
        case clusterState, joined, left, takesSignals, windowSignal, ignoresWindowSignals, timers
    }

    /// The names of the cases.
    package typealias Kind = CodingKeys

    /// Prints the event.
    package func report() { print(encoded(self)) }

    /// Parses a line; `nil`: it is no event.
    package static func parse(_ line: String) -> (kind: Kind, event: Event)? {
        guard line.hasPrefix("{\""), let kind = Kind(rawValue: String(line.dropFirst(2).prefix { $0 != "\"" })),
            let event = try? decoded(Event.self, line)
        else { return nil }
        return (kind, event)
    }

    /// The process of an event that reports one.
    package var pid: Int32? {
        switch self {
        case .shutdown(let pid), .managerStart(let pid), .managerStop(let pid), .beforeShutdown(let pid): pid
        case .beforeReload(let pid), .afterReload(let pid), .ready(_, let pid, _), .timer(let pid): pid
        case .workerStart(_, let pid), .workerStop(_, let pid), .workerExit(_, let pid, _): pid
        case .workerError(_, let pid, _, _), .process(_, _, let pid), .takesSignals(_, let pid): pid
        case .stopping(let pid): pid
        default: nil
        }
    }
}
