import Glibc

/// Redis and the two servers, as child processes that are started again when they end.
final class Parts {
    private let ports: [Int]
    private let folder: String
    /// The arguments of each running part, by its pid.
    private var running: [pid_t: [String]] = [:]
    private var isStopping = false

    private var socket: String { folder + "/socket" }
    private static let redis = "redis-server"

    init(_ first: Int, _ second: Int) {
        ports = [first, second]
        var name = Array("/tmp/cluster-demo.XXXXXX".utf8CString)
        guard mkdtemp(&name) != nil else { fatalError("cannot create a folder in /tmp") }
        folder = String(decoding: name.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// Runs until a signal ends it. Returns the exit code.
    func run() -> Int32 {
        var signals = sigset_t()
        sigemptyset(&signals)
        for signal in [SIGINT, SIGTERM, SIGCHLD] { sigaddset(&signals, signal) }
        sigprocmask(SIG_BLOCK, &signals, nil)
        defer { removeFolder() }
        guard start(redisArguments) else {
            print("cannot start redis-server: install it first (apt install redis-server)")
            return 1
        }
        for (port, other) in [(ports[0], ports[1]), (ports[1], ports[0])] {
            _ = start(["/proc/self/exe", "serve", "\(port)", "\(other)", "unix:\(socket)"])
        }
        while true {
            var signal: Int32 = 0
            sigwait(&signals, &signal)
            if signal == SIGCHLD {
                for ended in takeEnded() { restart(ended, &signals) }
            } else {
                isStopping = true
            }
            if isStopping { break }
        }
        return stop()
    }

    private var redisArguments: [String] {
        [
            Parts.redis, "--port", "0", "--unixsocket", socket, "--dir", folder, "--save", "", "--appendonly", "yes",
            "--logfile", folder + "/log",
        ]
    }

    private func start(_ arguments: [String]) -> Bool {
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var none = sigset_t()
        sigemptyset(&none)
        posix_spawnattr_setsigmask(&attributes, &none)
        // A Ctrl-C in the terminal is for this process, which ends the parts in order.
        posix_spawnattr_setpgroup(&attributes, 0)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP))
        let argv = Parts.copies(arguments)
        defer { for text in argv { free(text) } }
        var pid: pid_t = 0
        guard posix_spawnp(&pid, arguments[0], nil, &attributes, argv, environ) == 0 else { return false }
        running[pid] = arguments
        if arguments[0] == Parts.redis { print("the pid of Redis is \(pid)") }
        return true
    }

    /// The texts as C takes the arguments of a program.
    private static func copies(_ texts: [String]) -> [UnsafeMutablePointer<CChar>?] {
        texts.map { strdup($0) } + [nil]
    }

    /// The arguments of the parts that have ended.
    private func takeEnded() -> [[String]] {
        var ended: [[String]] = []
        while true {
            let pid = waitpid(-1, nil, WNOHANG)
            guard pid > 0 else { return ended }
            if let arguments = running.removeValue(forKey: pid) { ended.append(arguments) }
        }
    }

    private func restart(_ arguments: [String], _ signals: inout sigset_t) {
        print("\(arguments[0] == Parts.redis ? "Redis" : "server \(arguments[2])") has ended and is started again")
        var delay = timespec(tv_sec: 3, tv_nsec: 0)
        var requests = sigset_t()
        sigemptyset(&requests)
        sigaddset(&requests, SIGINT)
        sigaddset(&requests, SIGTERM)
        if sigtimedwait(&requests, nil, &delay) > 0 { isStopping = true } else { _ = start(arguments) }
    }

    /// The servers first, so that they can still publish what was handed to them.
    private func stop() -> Int32 {
        for isRedis in [false, true] {
            for (pid, arguments) in running where (arguments[0] == Parts.redis) == isRedis {
                kill(pid, SIGTERM)
                waitpid(pid, nil, 0)
            }
        }
        return 0
    }

    private func removeFolder() {
        let list = Parts.copies(["rm", "-rf", folder])
        var pid: pid_t = 0
        if posix_spawnp(&pid, "rm", nil, nil, list, environ) == 0 { waitpid(pid, nil, 0) }
        for text in list { free(text) }
    }
}
