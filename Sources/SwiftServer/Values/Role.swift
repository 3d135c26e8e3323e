/// The role of a process that the manager starts.
enum Role: Equatable, Sendable {
    case worker
    case taskWorker
    /// A custom process, added by ``ServerEvents/addProcess(_:_:)-(_,(Self)->Void)``, with its name.
    case user(String)
    /// The process that is connected with the cluster.
    case gateway

    /// Whether the process has `onWorkerStart` and `onWorkerStop`.
    var isManaged: Bool { self == .worker || self == .taskWorker }
}
