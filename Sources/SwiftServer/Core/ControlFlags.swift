internal import Glibc

/// The flags by which any process makes requests of the master, and by which the master publishes its state to all.
final class ControlFlags: Sendable {
    /// Requests the stop of the server; see ``Server/shutdown()``.
    let shutdown: Flag
    /// Requests a reload; see ``Server/reload(onlyTaskWorkers:)``.
    let reload: Flag
    /// Requests a reload of the task workers.
    let reloadTaskWorkers: Flag
    /// The whole server is stopping: each process waits until its parent asks it to stop.
    let stopping: Flag
    /// The server will stop: it is not ready for traffic any more. Raised before ``stopping``; see
    /// ``Settings/drainDelay``.
    let draining: Flag
    /// A new program runs in the workers. Their replacements must run it too, also after the manager was replaced.
    let renewed: Flag

    static let count = 6
    var all: [Flag] { [shutdown, reload, reloadTaskWorkers, stopping, renewed, draining] }

    init() throws(ServerError) {
        shutdown = try Flag()
        reload = try Flag()
        reloadTaskWorkers = try Flag()
        stopping = try Flag()
        renewed = try Flag()
        draining = try Flag()
    }

    /// Joins the flags of a running server, by their inherited descriptors.
    init(_ descriptors: [Int32]) {
        shutdown = Flag(descriptor: descriptors[0])
        reload = Flag(descriptor: descriptors[1])
        reloadTaskWorkers = Flag(descriptor: descriptors[2])
        stopping = Flag(descriptor: descriptors[3])
        renewed = Flag(descriptor: descriptors[4])
        draining = Flag(descriptor: descriptors[5])
    }

    /// Runs only in the process that called `start()`: all others exit without unwinding.
    deinit {
        for flag in all { close(flag.descriptor) }
    }
}
