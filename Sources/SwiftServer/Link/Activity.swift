internal import CReactor
internal import CReactorInternal

/// The activity of a process, as it publishes it in shared memory.
struct Activity {
    private let raw: cre_activity

    init(_ bus: Bus, node: Int) {
        var raw = cre_activity()
        unsafe cre_bus_get_activity(bus.raw, UInt32(node), &raw)
        self.raw = raw
    }

    init(_ raw: cre_activity) { self.raw = raw }

    /// A call that has ended. `session` is that of its connection or task.
    init(kind: UInt8, session: UInt64) {
        var raw = cre_activity()
        raw.kind = UInt32(kind)
        raw.session = session
        self.raw = raw
    }

    var isRunning: Bool { raw.running }
    var runningFor: Duration { .milliseconds(Int64(clamping: raw.running_ms)) }
    /// Whether `onWorkerStart` is running: a process that crashes in it has not replaced its predecessor.
    var isStarting: Bool { raw.running && raw.kind == UInt32(CRE_AT_START) }
    var isOnTask: Bool { raw.kind == CRE_MESSAGE_TASK.rawValue }
    var ending: EndingCause? { EndingCause(rawValue: raw.ending) }
    var served: UInt64 { raw.served }
    /// The turns of its loop; 0 before the first one.
    var turns: UInt64 { raw.turns }
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
        case CRE_EVENT_DRAINED.rawValue: "onDrain"
        case CRE_EVENT_REQUEST_BODY.rawValue: "bodyPieces"
        case CRE_EVENT_END.rawValue: "end of input"
        case CRE_MESSAGE_TASK.rawValue: "onTask"
        case CRE_MESSAGE_RESULT.rawValue: "onFinish"
        case CRE_MESSAGE_PIPE.rawValue: "onPipeMessage"
        case CRE_MESSAGE_MEMBER.rawValue: "onJoin or onLeave"
        case UInt32(CRE_AT_TIMER): "timer"
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
        let place = raw.kind == UInt32(CRE_AT_TIMER) ? "a timer" : name + about
        return raw.running ? " in \(place)" : ", idle after \(place)"
    }
}

extension WorkerFailure {
    /// A successor that has ended in its `onWorkerStart`, while its predecessor serves.
    init(_ id: Int, _ name: String, _ end: ProcessEnd) {
        self.init(
            workerID: id, name: name, pid: end.pid, exitCode: end.code, signal: end.signal, lastEvent: "onWorkerStart",
            wasInHandler: true, connection: nil, description: "\(name) (pid \(end.pid)) \(end) in onWorkerStart")
    }

    init(id: Int, name: String, end: ProcessEnd, activity: Activity) {
        self.init(
            workerID: id, name: name, pid: end.pid, exitCode: end.code, signal: end.signal, lastEvent: activity.name,
            wasInHandler: activity.isRunning, connection: activity.connection,
            description: "\(name) (pid \(end.pid)) \(end)\(activity.place)")
    }
}
