/// The handlers of the life cycle of a server and its processes.
struct ProcessHandlers: @unchecked Sendable {
    // `@unchecked`: registered before `start()`, called on the main thread of a process only.
    var start: (() -> Void)?
    var shutdown: (() -> Void)?
    var managerStart: (() -> Void)?
    var managerStop: (() -> Void)?
    var beforeShutdown: (() -> Void)?
    var beforeReload: (() -> Void)?
    var afterReload: (() -> Void)?
    var workerError: ((WorkerFailure) -> Void)?
    var clusterState: ((ClusterState) -> Void)?
    var workerStart: ((WorkerContext) -> Void)?
    var workerStop: ((WorkerContext) -> Void)?
    var workerExit: ((WorkerContext) -> Void)?
    var pipeMessage: ((Int, [UInt8]) -> Void)?
    var join: ((MemberChange) -> Void)?
    var leave: ((MemberChange) -> Void)?
    /// The custom processes.
    var processes: [(name: String, body: (WorkerContext) -> Void)] = []
}
