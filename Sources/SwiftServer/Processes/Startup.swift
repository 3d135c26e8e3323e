internal import CReactor
internal import CReactorInternal
internal import Glibc

/// What the process that calls `start()` does once, however many others there will be: it looks up as whom handlers run,
/// opens the log, takes the PID file and goes to the background.
struct Launch {
    private let server: Server
    private var log: LogFile?
    private var pidFile: PIDFile?
    /// In the background, the line to who started it.
    private var report: Int32?

    /// Children must not have them: who waits at the other end must see the master's death, whatever it left behind.
    var descriptors: [Int32] { [pidFile?.descriptor, report].compactMap { $0 } }

    init(_ server: Server) throws(ServerError) {
        self.server = server
        log = try Launch.open(server)
        do throws(ServerError) { pidFile = try server.settings.pidFile.map(PIDFile.init) } catch {
            Log.close()
            throw error
        }
    }

    /// Looks up as whom handlers run, and opens the log: what a new program does, too, that joins a running server.
    @discardableResult
    static func open(_ server: Server) throws(ServerError) -> LogFile? {
        let confinement = try Confinement(server.settings, server.mode)
        server.confinement = confinement
        var log: LogFile?
        if let path = server.settings.logFile {
            log = try LogFile(path, owner: confinement.owner, takesOutput: server.settings.daemonize)
        }
        Log.open(server.settings.logLevel, log)
        return log
    }

    /// Goes on in the background, if that is wanted. The caller's process waits and ends; this returns in another one.
    mutating func detach() throws(ServerError) {
        guard server.settings.daemonize else { return }
        for port in server.ports { port.tls = port.tls?.withAbsolutePaths() }
        let result = cre_daemon_start(log?.descriptor ?? -1)
        guard result >= 0 else { throw .system("going to the background", result) }
        report = result
    }

    /// The server listens.
    func tellMaster() throws(ServerError) { try pidFile?.write() }

    /// It has started, or failed to.
    mutating func tell(_ failure: ServerError?) {
        guard let report else { return }
        if let failure {
            unsafe cre_daemon_report(report, failure.message)
        } else {
            cre_daemon_report(report, nil)
        }
        self.report = nil
    }

    func end() {
        pidFile?.remove()
        Log.close()
    }
}

extension TLSConfiguration {
    /// The same, wherever the process goes.
    func withAbsolutePaths() -> TLSConfiguration {
        func absolute(_ source: Source) -> Source {
            if case .file(let path) = source { .file(absolutePath(path)) } else { source }
        }
        var copy = self
        for index in copy.certificates.indices {
            copy.certificates[index].chain = absolute(copy.certificates[index].chain)
            copy.certificates[index].privateKey = absolute(copy.certificates[index].privateKey)
        }
        switch clientCertificates {
        case .none: break
        case .optional(let authorities): copy.clientCertificates = .optional(authorities: absolute(authorities))
        case .required(let authorities): copy.clientCertificates = .required(authorities: absolute(authorities))
        }
        return copy
    }
}
