internal import CReactor
internal import CReactorInternal

/// Names a timer of one process; numbers are never used twice.
public struct TimerID: Hashable, Sendable, CustomStringConvertible {
    /// The number, from 1.
    public let rawValue: Int
    /// The number in decimal.
    public var description: String { String(rawValue) }
}

/// The timers of one process, on its loop.
@safe final class Timers: @unchecked Sendable {
    // `@unchecked`: everything here happens on the loop's thread.
    /// Whose a timer is, and what becomes of it when its worker is told to end.
    enum Kind {
        /// The server's own, or what a suspended handler waits for: it goes on.
        case own
        /// The user's: it is cleared.
        case users
        /// The user's, and the worker does not end before it is gone.
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

    /// Shows that a timer's code runs (CRE_AT_TIMER) and that it is over (0); false when it runs inside other code.
    var show: ((UInt32) -> Bool)?
    /// Called when one of those that hold the worker is gone.
    var whenFewer: (() -> Void)?
    /// How many hold the worker.
    private(set) var holding = 0
    var hasUsers: Bool { entries.values.contains { $0.kind != .own } }

    var all: [TimerID] { entries.keys.sorted { $0.rawValue < $1.rawValue } }

    /// Fires after `delay`, and then each `interval` if there is one.
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
                let isShown = owner.show?(UInt32(CRE_AT_TIMER)) ?? false
                if !entry.repeats { owner.remove(entry.id) }
                entry.run(entry.id)
                if isShown { _ = owner.show?(UInt32(CRE_AT_NOTHING)) }
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

    func clearAll() {
        for id in entries.keys { clear(id) }
    }

    /// Clears the user's, but for those that hold the worker. Returns how many there were.
    func clearUsers() -> Int {
        let idle = entries.values.filter { $0.kind == .users }
        for entry in idle { remove(entry.id) }
        return idle.count
    }
}
