internal import CReactor
internal import CReactorInternal
internal import Glibc

/// Something that any process of a server may say and all can see, whoever they run as: signals need rights, this does not.
/// Made before the first fork; saying it twice is saying it once.
struct Flag: Sendable {
    let descriptor: Int32

    init(descriptor: Int32) { self.descriptor = descriptor }

    init() throws(ServerError) {
        descriptor = cre_flag_create()
        guard descriptor >= 0 else { throw .system("making a flag", descriptor) }
    }

    /// Any process, any thread.
    func raise() { cre_flag_raise(descriptor) }

    var isRaised: Bool { cre_flag_raised(descriptor) }

    /// Whether it was raised; it is not afterwards.
    func take() -> Bool { cre_flag_take(descriptor) }
}

/// What any process may ask of the master, and what the master lets all of them know.
final class Orders: Sendable {
    /// Asked for by ``Server/shutdown()``.
    let shutdown: Flag
    /// Asked for by ``Server/reload(onlyTaskWorkers:)``.
    let reload: Flag
    let reloadTaskWorkers: Flag
    /// The server as a whole is stopping: each process waits for its parent to say that it is its turn.
    let stopping: Flag
    /// Workers run a new program by now: those that replace them, too, also when the manager was replaced.
    let renewed: Flag

    static let count = 5
    var all: [Flag] { [shutdown, reload, reloadTaskWorkers, stopping, renewed] }

    init() throws(ServerError) {
        shutdown = try Flag()
        reload = try Flag()
        reloadTaskWorkers = try Flag()
        stopping = try Flag()
        renewed = try Flag()
    }

    /// Those of the server of which this process is to be a part.
    init(_ descriptors: [Int32]) {
        shutdown = Flag(descriptor: descriptors[0])
        reload = Flag(descriptor: descriptors[1])
        reloadTaskWorkers = Flag(descriptor: descriptors[2])
        stopping = Flag(descriptor: descriptors[3])
        renewed = Flag(descriptor: descriptors[4])
    }

    /// Processes leave without unwinding, so this is the one that called `start()`.
    deinit {
        for flag in all { close(flag.descriptor) }
    }
}
