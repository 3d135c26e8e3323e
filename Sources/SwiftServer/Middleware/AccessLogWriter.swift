internal import Glibc

/// Writes the lines of an access log, in one process. Lines of NCSA's formats are made without a String and without
/// memory of their own.
@safe final class AccessLogWriter: ResponseObserver, @unchecked Sendable {
    // `@unchecked`: what is not a constant is used on the main actor only.
    private let format: AccessLog.Format
    private let channel: LogChannel?
    private let skip: (@Sendable (AccessLog.Entry) -> Bool)?
    private let kind: Kind
    private let needsEntry: Bool
    /// The addresses of connections, at the last bits of their ids.
    @safe @exclusivity(unchecked) private var remotes: [(fd: ConnectionID, address: BinaryAddress)] = []
    @safe @exclusivity(unchecked) private var date = AccessLogDate()

    private enum Kind { case common, combined, other }

    init(_ format: AccessLog.Format, _ channel: LogChannel?, skip: (@Sendable (AccessLog.Entry) -> Bool)?) {
        self.format = format
        self.channel = channel
        self.skip = skip
        kind =
            switch format {
            case .common: .common
            case .combined: .combined
            case .json, .custom: .other
            }
        needsEntry = kind == .other || skip != nil
    }

    /// Notes the time and the client, and writes the line when the response has ended.
    @MainActor func begin(_ request: Request, _ response: Response) {
        let remote = remote(of: request.fd, response.worker)
        // Without an entry the second is enough.
        let start = needsEntry ? AccessLogWriter.nanoseconds(CLOCK_MONOTONIC) : AccessLogWriter.seconds
        response.observe(ObservedResponse(observer: self, request: request, remote: remote, start: start))
    }

    /// The address of a connection, which is looked up once as long as others do not take its place.
    private func remote(of fd: ConnectionID, _ worker: WorkerContext) -> BinaryAddress {
        if remotes.isEmpty { remotes = Array(repeating: (ConnectionID(rawValue: 0), BinaryAddress()), count: 256) }
        let place = Int(truncatingIfNeeded: fd.rawValue & 255)
        if remotes[place].fd != fd { remotes[place] = (fd, BinaryAddress(fd, worker.bus) ?? BinaryAddress()) }
        return remotes[place].address
    }

    func ended(_ observed: ObservedResponse, _ outcome: ResponseOutcome) {
        var second = observed.start
        if needsEntry {
            let entry = AccessLogWriter.entry(observed, outcome)
            if let skip, skip(entry) { return }
            switch format {
            case .json: return write(AccessLogLine(json: entry))
            case .custom(let function): return write(AccessLogLine(function(entry)))
            case .common, .combined: second = Int64(entry.time)
            }
        }
        date.set(second)
        unsafe AccessLogText.withLine(observed, outcome, date: date, isCombined: kind == .combined) { line in
            guard let channel else {
                return unsafe Log.notice(String(decoding: line.dropLast(), as: UTF8.self))
            }
            unsafe channel.write(line)
        }
    }

    private static func entry(_ observed: ObservedResponse, _ outcome: ResponseOutcome) -> AccessLog.Entry {
        let duration = nanoseconds(CLOCK_MONOTONIC) - observed.start
        return AccessLog.Entry(
            request: observed.request, clientAddress: observed.request.clientAddress(remote: observed.remote.text),
            time: Double(nanoseconds(CLOCK_REALTIME) - duration) / 1e9, duration: .nanoseconds(duration),
            outcome: outcome)
    }

    private func write(_ line: AccessLogLine) {
        var line = line
        guard let channel else { return Log.notice(String(decoding: line.bytes, as: UTF8.self)) }
        line.end()
        unsafe line.bytes.withUnsafeBytes { unsafe channel.write($0) }
    }

    private static func nanoseconds(_ clock: clockid_t) -> Int64 {
        var now = timespec()
        unsafe clock_gettime(clock, &now)
        return Int64(now.tv_sec) * 1_000_000_000 + Int64(now.tv_nsec)
    }

    /// The time to a few milliseconds, in seconds since 1970.
    private static var seconds: Int64 {
        var now = timespec()
        unsafe clock_gettime(CLOCK_REALTIME_COARSE, &now)
        return Int64(now.tv_sec)
    }
}
