internal import CReactor
internal import CReactorInternal

/// How a process of the server came to its end, and what it was at.
public struct WorkerFailure: Sendable, CustomStringConvertible {
    /// The number of the worker, task worker or user's process.
    public let workerID: Int
    /// What it was, as titles and the log say it.
    public let name: String
    /// The pid that it had.
    public let pid: Int32
    /// The exit code, 0 when it was killed.
    public let exitCode: Int32
    /// What killed it, 0 when it ended by itself.
    public let signal: Int32
    /// The handler in which it ended, or that ran last before; `nil` when there was none yet.
    public let lastEvent: String?
    /// Whether that handler was still running.
    public let wasInHandler: Bool
    /// The connection that this was about.
    public let connection: ConnectionID?

    /// One line: what ended, how, and in what.
    public let description: String

    init(id: Int, name: String, end: ProcessEnd, activity: Activity) {
        workerID = id
        self.name = name
        pid = end.pid
        exitCode = end.code
        signal = end.signal
        lastEvent = activity.name
        wasInHandler = activity.isRunning
        connection = activity.connection
        description = "\(name) (pid \(end.pid)) \(end)\(activity.place)"
    }
}

/// What a process is at.
public enum WorkerStatus: String, Sendable {
    /// A handler runs.
    case busy
    /// It waits for something to do.
    case idle
    /// It finishes what it has begun and ends then.
    case ending
}

/// What a process is at, as it shows itself in shared memory.
struct Activity {
    private let raw: cre_activity

    init(_ bus: Bus, node: Int) {
        var raw = cre_activity()
        unsafe cre_bus_activity(bus.raw, UInt32(node), &raw)
        self.raw = raw
    }

    var isRunning: Bool { raw.running }
    var runningFor: Duration { .milliseconds(Int64(raw.running_ms)) }
    /// Whether `onWorkerStart` runs: what crashes in it has not taken its place yet.
    var isStarting: Bool { raw.running && raw.kind == UInt32(CRE_AT_START) }
    var isOnTask: Bool { raw.kind == CRE_MESSAGE_TASK.rawValue }
    var ending: Drain.Cause? { Drain.Cause(rawValue: raw.ending) }
    var served: UInt64 { raw.served }
    var tasksGiven: UInt64 { raw.tasks_given }
    var tasksDone: UInt64 { raw.tasks_done }

    var connection: ConnectionID? {
        raw.kind < UInt32(CRE_COMMAND_PUSH.rawValue) && raw.session > 0 ? ConnectionID(rawValue: raw.session) : nil
    }

    /// The handler's name.
    var name: String? {
        switch raw.kind {
        case CRE_EVENT_OPEN.rawValue: "onOpen"
        case CRE_EVENT_MESSAGE.rawValue: "onMessage"
        case CRE_EVENT_CLOSE.rawValue: "onClose"
        case CRE_EVENT_REQUEST.rawValue: "onRequest"
        case CRE_EVENT_CONNECT.rawValue: "onConnect"
        case CRE_EVENT_RECEIVE.rawValue: "onReceive"
        case CRE_EVENT_PACKET.rawValue: "onPacket"
        case CRE_MESSAGE_TASK.rawValue: "onTask"
        case CRE_MESSAGE_RESULT.rawValue: "onFinish"
        case CRE_MESSAGE_PIPE.rawValue: "onPipeMessage"
        case UInt32(CRE_AT_TIMER): "a timer"
        case UInt32(CRE_AT_JOB): "asynchronous code"
        case UInt32(CRE_AT_START): "onWorkerStart"
        case UInt32(CRE_AT_STOP): "onWorkerStop"
        case 0: nil
        default: "event \(raw.kind)"
        }
    }

    /// " in onMessage of connection 17", and the like.
    var place: String {
        guard let name else { return "" }
        let about =
            connection.map { " of connection \($0)" } ?? (isOnTask ? " of task \(raw.session)" : "")
        return raw.running ? " in \(name)\(about)" : ", idle after \(name)\(about)"
    }
}
