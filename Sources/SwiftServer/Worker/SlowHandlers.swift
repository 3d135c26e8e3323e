internal import CReactor
internal import CReactorInternal

/// Logs calls of handlers that have blocked their process for longer than ``Settings/slowHandlerAfter``: for each kind
/// of handler at most one line in ten seconds, with the number of those before that were skipped.
struct SlowHandlers {
    fileprivate struct Silence {
        var until: ContinuousClock.Instant
        var omitted = 0
        var longest = Duration.zero
    }

    private static let interval: Duration = .seconds(10)
    /// By the kind of the call, of which there are few.
    private var silences: [UInt8: Silence] = [:]

    /// Logs a call that has returned. `payload` is that of an event.
    mutating func log(
        _ call: cre_record, _ payload: UnsafeRawBufferPointer, took duration: Duration, in worker: WorkerContext,
        at now: ContinuousClock.Instant = .now
    ) {
        let before = silences[call.kind]
        if let before, now < before.until {
            silences[call.kind]!.omitted += 1
            silences[call.kind]!.longest = max(before.longest, duration)
            return
        }
        silences[call.kind] = Silence(until: now + SlowHandlers.interval)
        Log.write(.warning, { "slow handler" }) {
            unsafe SlowHandlers.fields(call, payload, duration, worker) + (before?.fields ?? [])
        }
    }

    private static func fields(
        _ call: cre_record, _ payload: UnsafeRawBufferPointer, _ duration: Duration, _ worker: WorkerContext
    ) -> [LogField] {
        let activity = Activity(kind: call.kind, session: call.session)
        var fields = [
            LogField("handler", activity.name ?? "event \(call.kind)"), LogField("seconds", seconds(duration)),
        ]
        if activity.isOnTask { fields.append(LogField("task", "\(call.session)")) }
        guard let fd = activity.connection else { return fields }
        if call.kind == UInt8(CRE_EVENT_REQUEST.rawValue),
            let request = unsafe Request(fd: fd, number: call.opcode, receivedAt: 0, payload: payload)
        {
            // Without the query, which may contain secrets.
            fields.append(LogField("request", "\(request.method) \(request.path.prefix(200))"))
        }
        fields.append(LogField("fd", fd.description))
        if let address = worker.info(fd)?.remoteAddress, !address.isEmpty {
            fields.append(LogField("address", address))
        }
        return fields
    }

    /// Seconds with three digits behind the point.
    fileprivate static func seconds(_ duration: Duration) -> String {
        let digits = String(duration.milliseconds % 1000)
        return "\(duration.milliseconds / 1000).\(String(repeating: "0", count: 3 - digits.count))\(digits)"
    }
}

extension SlowHandlers.Silence {
    fileprivate var fields: [LogField] {
        omitted == 0 ? [] : [LogField("omitted", "\(omitted)"), LogField("longest", SlowHandlers.seconds(longest))]
    }
}
