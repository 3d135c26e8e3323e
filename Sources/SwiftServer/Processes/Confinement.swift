internal import CReactor
internal import CReactorInternal
internal import Glibc

/// The user, the root directory and the CPUs of processes that run handlers. `start()` looks them up, so that a mistake
/// is an error there and not the end of each worker.
struct Confinement: Sendable {
    private var identity: cre_identity?
    private let root: String?
    /// Empty: any CPU.
    private var cpus: [Int32] = []

    init(_ settings: Settings, _ mode: ServerMode) throws(ServerError) {
        root = settings.chroot.map(Path.absolute)
        if settings.user != nil || settings.group != nil || root != nil {
            guard mode != .single else { throw .setting("user, group and chroot cannot be used in single mode") }
            guard geteuid() == 0 else { throw .setting("user, group and chroot need a start as root") }
            identity = try Confinement.find(settings)
            try checkRoot()
        }
        if settings.cpuAffinity { cpus = try Confinement.cpus(without: settings.cpuAffinityIgnore) }
    }

    /// The owner of files that the workers must be able to open, `nil` when they run as the current user.
    var owner: (user: UInt32, group: UInt32)? {
        guard let identity, identity.has_user else { return nil }
        return (identity.user, identity.group)
    }

    /// Confines this process, which has the mailbox `node`. It must happen before the application's code runs.
    func enter(node: Int) throws(ServerError) {
        var result = pin(node)
        if result == 0, var identity { result = unsafe cre_identity_switch(&identity, root) }
        guard result == 0 else { throw .system(failure, result) }
    }

    private var failure: String {
        guard identity != nil else { return "cannot bind the process to a CPU" }
        let hint = "start the server as root, or remove settings.user, settings.group and settings.chroot"
        return "cannot switch to the configured user, group or root directory (\(hint))"
    }

    /// Confines the calling thread, a reactor: it opens the files that workers send. Returns 0 or an error.
    func enterReactor(node: Int) -> Int32 {
        var result = pin(node)
        if result == 0, var identity { result = unsafe cre_identity_switch_files(&identity, root) }
        return result
    }

    private func pin(_ node: Int) -> Int32 { cpus.isEmpty ? 0 : cre_thread_pin(cpus[node % cpus.count]) }

    private static func find(_ settings: Settings) throws(ServerError) -> cre_identity {
        var found = cre_identity()
        for (user, group) in [(settings.user, nil), (settings.user, settings.group)] {
            let result = unsafe cre_identity_find(user, group, &found)
            guard result < 0 else { continue }
            let name = group.map { "group \"\($0)\"" } ?? "user \"\(user ?? "")\""
            throw .setting("\(name): " + (result == -ENOENT ? "there is none of this name" : errorText(result)))
        }
        return found
    }

    private func checkRoot() throws(ServerError) {
        guard let root else { return }
        var info = stat()
        let error = unsafe stat(root, &info) == 0 ? (info.st_mode & S_IFMT == S_IFDIR ? 0 : ENOTDIR) : errno
        guard error == 0 else { throw .setting("chroot \"\(root)\": \(errorText(-error))") }
    }

    private static func cpus(without ignored: [Int]) throws(ServerError) -> [Int32] {
        let allowed = unsafe [Int32](unsafeUninitializedCapacity: 8192) { buffer, count in
            count = Int(max(0, unsafe cre_process_cpus(buffer.baseAddress, buffer.count)))
        }
        let left = allowed.filter { !ignored.contains(Int($0)) }
        guard !left.isEmpty else {
            throw .setting("cpuAffinityIgnore leaves none of the CPUs that this process may use: \(allowed)")
        }
        return left
    }
}
