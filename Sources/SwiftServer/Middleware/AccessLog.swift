/// Writes a line for each response: `server.use(AccessLog(.combined, file: "/var/log/shop/access.log"))`.
///
/// The line is written when the response has ended, with its status, the size of its body and its duration: 101 for a
/// handshake of a WebSocket that was accepted. Add it as the first middleware, so that it surrounds the others.
/// Requests that no middleware gets are not logged: malformed ones, and those that exceed a limit of the server.
///
/// The address is ``Request/clientAddress``, so behind a proxy ``Settings/trustedProxies`` must be set. Characters that
/// could end a line or a field, control a terminal, or are not ASCII are escaped.
///
/// The file is created by `start()`, written by all workers without waiting, and opened again by its name with the
/// server's log (SIGHUP). Lines for which a slow reader has no room are dropped, which a line reports.
public struct AccessLog: SynchronousMiddleware, ConfiguredMiddleware {
    /// The form of the lines.
    public enum Format: Sendable {
        /// The Common Log Format: `192.0.2.1 - - [29/Nov/2026:08:20:00 +0000] "GET /a HTTP/1.1" 200 512`. The time is
        /// that of the request.
        case common
        /// As `common`, with the fields `Referer` and `User-Agent` in quotes at the end.
        case combined
        /// A JSON object per line, with the members time, address, method, target, protocol, host, status, bytes,
        /// duration (in seconds), referer, userAgent, requestID and complete.
        case json
        /// What the function returns. Control characters are escaped afterwards, so it is one line.
        case custom(@Sendable (Entry) -> String)
    }

    /// What is known of a request and its response.
    public struct Entry: Sendable {
        /// The request.
        public let request: Request
        /// The address of the client; "" for a Unix socket.
        public var clientAddress: String { request.clientAddress(remote: remote.text) }
        let remote: BinaryAddress
        /// The time at which the middleware got the request, in seconds since 1970.
        public let time: Double
        /// The time from then to the end of the response.
        public let duration: Duration
        /// How the response has ended: its status and the size of its body.
        public let outcome: ResponseOutcome
    }

    /// The form of the lines.
    public let format: Format
    let logChannel: LogChannel?
    private let writer: AccessLogWriter
    private let path: String?

    /// Makes the middleware.
    ///
    /// - Parameters:
    ///   - format: the form of the lines.
    ///   - file: the file. `nil`: the server's log, at the level ``LogLevel/notice``.
    ///   - skip: returns true for responses that are not logged, such as those of health checks.
    public init(_ format: Format = .combined, file: String? = nil, skip: (@Sendable (Entry) -> Bool)? = nil) {
        self.format = format
        path = file
        logChannel = file.map { file in
            var isJSON = false
            if case .json = format { isJSON = true }
            return LogChannel(path: file) { [isJSON] in AccessLogLine.dropped($0, isJSON: isJSON) }
        }
        writer = AccessLogWriter(format, logChannel, skip: skip)
    }

    var problem: String? {
        guard let path, path.isEmpty || path.utf8.contains(0) else { return nil }
        return "cannot use AccessLog: file must be the path of a file, got \(path.debugDescription)"
    }

    /// Notes the time and the client, and writes the line when the response has ended.
    public func prepare(_ request: inout Request, _ response: Response) {
        writer.begin(request, response)
    }
}
