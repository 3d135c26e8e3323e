internal import CDashboard

/// The dashboard of ``Settings/monitoringPort``: a page, its numbers, and its actions (docs/observing.md).
///
/// Pages request the numbers again and again, so the server has no state for a viewer, does nothing when nobody looks,
/// and viewers find the same numbers after any interruption. All that ask at about the same time get one snapshot.
/// On the loop's thread.
final class Dashboard {
    typealias Answer = AnsweringPort.Answer
    typealias Refusal = ControlCommands.Refusal

    /// The processes of the server, as far as only the one that answers knows them.
    struct Processes {
        /// The pid of the manager; `nil` in single mode.
        let manager: () -> Int32?
        /// Ends a process, in order or at once (`isForced`), so that it is replaced; false: it is gone.
        let stop: (_ pid: Int32, _ isForced: Bool) -> Bool
    }

    let commands: ControlCommands
    let name: String
    let processes: Processes
    private let access: DashboardAccess
    private var snapshot: Snapshot?
    private var refusals = (logged: ContinuousClock.Instant?.none, count: 0)

    /// Numbers that are sent to all who ask until `validUntil`.
    private struct Snapshot {
        let text: String
        let validUntil: ContinuousClock.Instant
    }

    init(_ commands: ControlCommands, name: String, token: String?, _ processes: Processes) {
        self.commands = commands
        self.name = name
        self.processes = processes
        access = DashboardAccess(token: token)
    }

    // MARK: Requests

    /// `nil`: the path is none of the dashboard's.
    func answer(to request: Request) -> Answer? {
        typealias Run = (Request, DashboardAccess.Credentials) throws(Refusal) -> Answer
        let known: (method: String, run: Run)? =
            switch request.path {
            case "/": ("GET", { _, _ throws(Refusal) in Dashboard.page() })
            case "/dashboard.json": ("GET", numbers)
            case "/reload": ("POST", reload)
            case "/restart": ("POST", restart)
            default: nil
            }
        guard let known else { return nil }
        guard request.method == known.method || (known.method == "GET" && request.method == "HEAD") else {
            var answer = commands.refused(Refusal(405, "method not allowed: \(request.path) has \(known.method)"))
            answer.allow = known.method == "GET" ? "GET, HEAD" : known.method
            return answer
        }
        do throws(Refusal) {
            return try known.run(request, DashboardAccess.Credentials(request))
        } catch {
            var answer = commands.refused(error)
            if error.status == 401 { answer.fields = "WWW-Authenticate: Bearer\r\n" }
            return answer
        }
    }

    /// The page. Its script and its style are in it, and a browser executes no others: they have a number that no other
    /// page can know.
    private static func page() -> Answer {
        var length = 0
        let bytes = unsafe UnsafeBufferPointer(start: cda_page(&length), count: length)
        let text = unsafe String(decoding: bytes, as: UTF8.self)
        let nonce =
            String(UInt64.random(in: .min ... .max), radix: 36) + String(UInt64.random(in: .min ... .max), radix: 36)
        let parts = text.split(separator: " nonce=\"\"", omittingEmptySubsequences: false)
        return Answer(
            type: "text/html; charset=utf-8", body: parts.joined(separator: " nonce=\"\(nonce)\""),
            fields: """
                Content-Security-Policy: default-src 'none'; script-src 'nonce-\(nonce)'; style-src 'nonce-\(nonce)'; \
                connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r
                X-Content-Type-Options: nosniff\r
                Referrer-Policy: no-referrer\r
                Cross-Origin-Opener-Policy: same-origin\r
                Cross-Origin-Resource-Policy: same-origin\r

                """)
    }

    // MARK: Numbers

    /// A snapshot serves all requests for this long, and at least 20 times as long as it took: so the server spends at
    /// most a twentieth of its time on them, however many processes and viewers there are.
    private static let shared: Duration = .milliseconds(400)

    private func numbers(_ request: Request, _ credentials: DashboardAccess.Credentials) throws(Refusal) -> Answer {
        try access.checkRead(credentials)
        let rights = JSONText([
            "actions": JSONText(access.token != nil && commands.monitor.mode != .single),
            "authorized": JSONText(access.isAuthorized(credentials)),
        ])
        return Answer(type: "application/json", body: "{\"access\":\(rights.text),\"state\":\(currentSnapshot())}\n")
    }

    private func currentSnapshot() -> String {
        let begin = ContinuousClock.now
        if let snapshot, begin < snapshot.validUntil { return snapshot.text }
        let text = numbers(at: begin).text
        let end = ContinuousClock.now
        snapshot = Snapshot(text: text, validUntil: end + max(Dashboard.shared, (end - begin) * 20))
        return text
    }

    // MARK: Actions

    private func act(_ credentials: DashboardAccess.Credentials) throws(Refusal) {
        do throws(Refusal) {
            try access.checkAction(credentials)
        } catch {
            logRefusal(error)
            throw error
        }
        snapshot = nil  // the next request shows the effect
    }

    private func reload(_ request: Request, _ credentials: DashboardAccess.Credentials) throws(Refusal) -> Answer {
        try act(credentials)
        let (status, body) = try commands.reload(request)
        return Answer(status: status, type: "application/json", body: body.text + "\n")
    }

    /// Restarts one process. Its pid is part of the request: a page may be older than a process.
    private func restart(_ request: Request, _ credentials: DashboardAccess.Credentials) throws(Refusal) -> Answer {
        try act(credentials)
        let members = try commands.members(request, ["process", "pid", "force"])
        guard let name = members["process"]?.string, let pid = members["pid"]?.number.flatMap(Int32.init(exactly:))
        else {
            throw Refusal("process must be the name of a process, and pid its number")
        }
        let force = members["force"].map { $0.bool } ?? false
        guard let force else { throw Refusal("force must be true or false") }
        let monitor = commands.monitor
        guard monitor.mode != .single else {
            throw Refusal(409, "the only process of a server in single mode cannot be restarted")
        }
        guard !monitor.isStopping else { throw Refusal(409, "the server is stopping") }
        guard let node = monitor.processes.first(where: { monitor.names[$0] == name }) else {
            throw Refusal(404, "no process \"\(name)\" can be restarted")
        }
        let current = monitor.bus.pid(ofNode: node)
        guard current == pid, pid > 0 else {
            throw Refusal(409, "\(name) has pid \(current) now, not \(pid)")
        }
        Log.notice("\(force ? "the kill" : "a restart") of \(name) (pid \(pid)) was requested by \(commands.source)")
        guard processes.stop(pid, force) else { throw Refusal(409, "\(name) (pid \(pid)) has ended") }
        return Answer(status: 202, type: "application/json", body: "{\"result\":\"requested\"}\n")
    }

    /// At most one line in ten seconds: whoever reaches the port could fill the log.
    private func logRefusal(_ refusal: Refusal) {
        refusals.count += 1
        let now = ContinuousClock.now
        if let logged = refusals.logged, now - logged < .seconds(10) { return }
        let requests = refusals.count == 1 ? "an action" : "\(refusals.count) actions, the last one with the cause"
        Log.warning("\(commands.source) has refused \(requests): \(refusal.message)")
        refusals = (now, 0)
    }
}

extension DashboardAccess.Credentials {
    init(_ request: Request) {
        self.init(
            host: request.header["host"] ?? "", origin: request.header["origin"],
            site: request.header["sec-fetch-site"], authorization: request.header["authorization"])
    }
}
