internal import Glibc

/// Writes the lines of an access log, in one process. Lines are made without a String, except for what the application
/// returns.
@safe final class AccessLogWriter: ResponseObserver, @unchecked Sendable {
    // `@unchecked`: what is not a constant is used on the main actor only.
    private let format: AccessLog.Format
    private let channel: LogChannel?
    private let skip: (@Sendable (AccessLog.Entry) -> Bool)?
    private let kind: Kind
    /// Whether the precise time of the request is needed.
    private let isTimed: Bool
    /// The addresses of connections, at the last bits of their ids.
    @safe @exclusivity(unchecked) private var remotes: [(fd: ConnectionID, address: BinaryAddress)] = []
    @safe @exclusivity(unchecked) private var date: AccessLogDate

    private enum Kind { case common, combined, json, custom }

    init(_ format: AccessLog.Format, _ channel: LogChannel?, skip: (@Sendable (AccessLog.Entry) -> Bool)?) {
        self.format = format
        self.channel = channel
        self.skip = skip
        kind =
            switch format {
            case .common: .common
            case .combined: .combined
            case .json: .json
            case .custom: .custom
            }
        isTimed = kind == .json || kind == .custom || skip != nil
        date = AccessLogDate(isJSON: kind == .json)
    }

    /// Notes the time and the client, and writes the line when the response has ended.
    @MainActor func begin(_ request: Request, _ response: Response) {
        let remote = remote(of: request.fd, response.worker)
        let start = isTimed ? AccessLogWriter.nanoseconds(CLOCK_MONOTONIC) : AccessLogWriter.seconds
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
        guard isTimed else { return writeText(observed, outcome, second: observed.start) }
        let duration = AccessLogWriter.nanoseconds(CLOCK_MONOTONIC) - observed.start
        let timing = AccessLogTiming(
            duration: duration, start: AccessLogWriter.nanoseconds(CLOCK_REALTIME) - duration)
        if let skip, skip(AccessLog.Entry(observed, outcome, timing)) { return }
        switch format {
        case .json:
            date.set(timing.seconds)
            unsafe AccessLogLine.withJSON(observed, outcome, timing, date: date) { unsafe write($0) }
        case .custom(let function):
            unsafe AccessLogLine.withText(function(AccessLog.Entry(observed, outcome, timing))) { unsafe write($0) }
        case .common, .combined: writeText(observed, outcome, second: timing.seconds)
        }
    }

    private func writeText(_ observed: ObservedResponse, _ outcome: ResponseOutcome, second: Int64) {
        date.set(second)
        unsafe AccessLogText.withLine(observed, outcome, date: date, isCombined: kind == .combined) {
            unsafe write($0)
        }
    }

    /// Writes a line with its end.
    @inline(__always) private func write(_ line: UnsafeRawBufferPointer) {
        guard let channel else {
            return unsafe Log.notice(String(decoding: line.dropLast(), as: UTF8.self))
        }
        unsafe channel.write(line)
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

extension AccessLog.Entry {
    fileprivate init(_ observed: ObservedResponse, _ outcome: ResponseOutcome, _ timing: AccessLogTiming) {
        self.init(
            request: observed.request, remote: observed.remote, time: Double(timing.start) / 1e9,
            duration: .nanoseconds(timing.duration), outcome: outcome)
    }
}
