internal import CReactor
internal import CReactorInternal

/// The timers of one process, on its loop.
@safe final class Timers: @unchecked Sendable {
    // `@unchecked`: everything here happens on the loop's thread.
    /// The owner of a timer, which decides what happens to it when its worker drains.
    enum Kind {
        /// The server's own: it keeps running.
        case own
        /// One that a suspended handler waits for; it fires early when the loop ends.
        case sleeping
        /// The application's: it is cleared.
        case users
        /// The application's, and the worker does not end before it has fired or was cleared.
        case holding
    }

    @safe private final class Entry {
        let run: (TimerID) -> Void
        let id: TimerID
        let repeats: Bool
        let kind: Kind
        unowned let owner: Timers
        var timer: OpaquePointer?

        init(owner: Timers, id: TimerID, repeats: Bool, kind: Kind, run: @escaping (TimerID) -> Void) {
            self.owner = owner
            self.kind = kind
            self.id = id
            self.repeats = repeats
            self.run = run
        }
    }

    private let loop: EventLoop
    private var entries: [TimerID: Entry] = [:]
    private var last = 0

    init(loop: EventLoop) { self.loop = loop }

    /// Publishes the beginning (CRE_AT_TIMER) and the end (CRE_AT_NOTHING) of a timer's activity. Returns false inside
    /// another activity; its end must not be published then.
    var publishActivity: ((UInt32) -> Bool)?
    /// Called when a timer that holds the worker has fired or was cleared.
    var whenFewer: (() -> Void)?
    /// The number of timers that hold the worker.
    private(set) var holding = 0
    var hasUsers: Bool { entries.values.contains { $0.kind == .users || $0.kind == .holding } }

    /// Starts a timer that fires after `delay`, and then at each `interval` if there is one.
    func start(
        after delay: Duration, every interval: Duration?, _ kind: Kind = .own, _ run: @escaping (TimerID) -> Void
    ) -> TimerID {
        last += 1
        if kind == .holding { holding += 1 }
        let entry = Entry(owner: self, id: TimerID(rawValue: last), repeats: interval != nil, kind: kind, run: run)
        let result = unsafe cre_timer_start(
            loop.raw, UInt64(max(0, delay.milliseconds)), UInt64(max(0, interval?.milliseconds ?? 0)),
            { context, _ in
                let entry = unsafe Unmanaged<Entry>.fromOpaque(context!).takeUnretainedValue()
                let owner = entry.owner
                let isPublished = owner.publishActivity?(UInt32(CRE_AT_TIMER)) ?? false
                if !entry.repeats { owner.remove(entry.id) }
                entry.run(entry.id)
                if isPublished { _ = owner.publishActivity?(UInt32(CRE_AT_NOTHING)) }
                if entry.kind == .holding, !entry.repeats { owner.released() }
            }, Unmanaged.passUnretained(entry).toOpaque(), &entry.timer)
        precondition(result == 0, "no memory for a timer")
        entries[entry.id] = entry
        return entry.id
    }

    @discardableResult func clear(_ id: TimerID) -> Bool {
        guard let entry = remove(id) else { return false }
        if entry.kind == .holding { released() }
        return true
    }

    @discardableResult private func remove(_ id: TimerID) -> Entry? {
        guard let entry = entries.removeValue(forKey: id) else { return nil }
        unsafe cre_timer_stop(entry.timer)
        return entry
    }

    private func released() {
        holding -= 1
        whenFewer?()
    }

    /// Ends all timers, before the loop ends.
    func clearAll() {
        for id in entries.keys {
            let entry = remove(id)
            if entry?.kind == .holding { released() }
            if entry?.kind == .sleeping { entry?.run(id) }
        }
    }

    /// Clears the application's timers, except those that hold the worker. Returns the number of cleared timers.
    func clearUsers() -> Int {
        let idle = entries.values.filter { $0.kind == .users }
        for entry in idle { remove(entry.id) }
        return idle.count
    }
}
