internal import CReactor
internal import CReactorInternal
internal import Synchronization

/// The timers of one process, on its loop. Without a loop they are pending: they have due times, and fire when
/// ``fireDue()`` is called, or after ``attach(to:)``.
@safe final class Timers: @unchecked Sendable {
    // `@unchecked`: everything here happens on the loop's thread.
    /// The owner of a timer, which decides what happens to it when its worker drains.
    enum Kind {
        /// The server's own: it keeps running.
        case own
        /// One that a suspended handler waits for; it fires early when the loop ends.
        case sleeping
        /// The server's own, for a time that the application has set: it keeps running, in the application's time.
        case deadline
        /// The application's: it is cleared.
        case users
        /// The application's, and the worker does not end before it has fired or was cleared.
        case holding
    }

    @safe private final class Entry {
        let run: (TimerID) -> Void
        let id: TimerID
        let kind: Kind
        let interval: Duration?
        unowned let owner: Timers
        var timer: OpaquePointer?
        /// The next time at which it fires, while there is no loop.
        var due: ContinuousClock.Instant?

        var repeats: Bool { interval != nil }

        init(owner: Timers, id: TimerID, interval: Duration?, kind: Kind, run: @escaping (TimerID) -> Void) {
            self.owner = owner
            self.kind = kind
            self.id = id
            self.interval = interval
            self.run = run
        }
    }

    private(set) var loop: EventLoop?
    /// Whether the timers of the application are pending also when there is a loop.
    private let isManual: Bool
    private let now: () -> ContinuousClock.Instant
    private var entries: [TimerID: Entry] = [:]
    /// The number of the newest timer of this process, so that no two of them have the same.
    private static let last = Atomic(0)

    init(loop: EventLoop?, isManual: Bool = false, now: @escaping () -> ContinuousClock.Instant = { .now }) {
        self.loop = loop
        self.isManual = isManual
        self.now = now
    }

    /// Publishes the beginning (CRE_AT_TIMER) and the end (CRE_AT_NOTHING) of a timer's activity. Returns false inside
    /// another activity; its end must not be published then.
    var publishActivity: ((UInt32) -> Bool)?
    /// Called when a timer that holds the worker has fired or was cleared.
    var whenFewer: (() -> Void)?
    /// The number of tasks that are suspended in ``sleep(for:)``. One that its timer has woken resumes later.
    var sleepers = 0 { didSet { if isEmpty { whenEmpty?() } } }
    /// Whether nothing is waiting for a time.
    var isEmpty: Bool { entries.isEmpty && sleepers == 0 }
    /// Called when the last timer has fired or was cleared, and no task is sleeping.
    var whenEmpty: (() -> Void)?
    /// The number of timers that hold the worker.
    private(set) var holding = 0
    var hasUsers: Bool { entries.values.contains { $0.kind == .users || $0.kind == .holding } }
    var count: Int { entries.count }

    /// Starts a timer that fires after `delay`, and then at each `interval` if there is one.
    @inline(never)  // a clock's instants are of unknown size, for which callers would allocate in each call
    func start(
        after delay: Duration, every interval: Duration?, _ kind: Kind = .own, _ run: @escaping (TimerID) -> Void
    ) -> TimerID {
        let id = TimerID(rawValue: Timers.last.add(1, ordering: .relaxed).newValue)
        if kind == .holding { holding += 1 }
        let entry = Entry(owner: self, id: id, interval: interval, kind: kind, run: run)
        entries[id] = entry
        if let loop, !isManual || kind == .own {
            arm(entry, on: loop, after: delay)
        } else {
            entry.due = now().advanced(by: max(.zero, delay))
        }
        return id
    }

    private func arm(_ entry: Entry, on loop: EventLoop, after delay: Duration) {
        let result = unsafe cre_timer_start(
            loop.raw, UInt64(max(0, delay.milliseconds)), UInt64(max(0, entry.interval?.milliseconds ?? 0)),
            { context, _ in
                let entry = unsafe Unmanaged<Entry>.fromOpaque(context!).takeUnretainedValue()
                entry.owner.fire(entry)
            }, Unmanaged.passUnretained(entry).toOpaque(), &entry.timer)
        precondition(result == 0, "no memory for a timer")
    }

    private func fire(_ entry: Entry) {
        let isPublished = publishActivity?(UInt32(CRE_AT_TIMER)) ?? false
        if !entry.repeats { remove(entry.id) }
        entry.run(entry.id)
        if isPublished { _ = publishActivity?(UInt32(CRE_AT_NOTHING)) }
        if entry.kind == .holding, !entry.repeats { released() }
        if isEmpty { whenEmpty?() }
    }

    @discardableResult func clear(_ id: TimerID) -> Bool {
        guard let entry = remove(id) else { return false }
        if entry.kind == .holding { released() }
        if isEmpty { whenEmpty?() }
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

    // MARK: Timers without a loop

    /// The time at which the next pending timer is due.
    var nextDue: ContinuousClock.Instant? { entries.values.compactMap(\.due).min() }

    /// Starts the pending timers on a loop, where later ones start at once.
    func attach(to loop: EventLoop) {
        self.loop = loop
        for entry in pending() {
            arm(entry, on: loop, after: max(.zero, now().duration(to: entry.due!)))
            entry.due = nil
        }
    }

    /// Leaves the loop, on which no timer may be left.
    func detach() {
        precondition(entries.isEmpty, "timers are left on a loop that ends")
        loop = nil
    }

    /// Fires the pending timers that are due, in the order of their times, each once.
    func fireDue() {
        let now = now()
        for entry in pending() where entry.due! <= now {
            guard entries[entry.id] != nil else { continue }
            if let interval = entry.interval {
                // At a fixed rate; rounds that were missed are skipped.
                let missed = Int64(entry.due!.duration(to: now) / interval)
                let next = entry.due!.advanced(by: interval * (missed + 1))
                entry.due = next > now ? next : next.advanced(by: interval)
            }
            fire(entry)
        }
    }

    /// The pending timers in the order in which they fire.
    private func pending() -> [Entry] {
        entries.values.filter { $0.due != nil }.sorted { ($0.due!, $0.id.rawValue) < ($1.due!, $1.id.rawValue) }
    }
}
