internal import CReactor

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
    @safe private final class Entry {
        let run: (TimerID) -> Void
        let id: TimerID
        let repeats: Bool
        unowned let owner: Timers
        var timer: OpaquePointer?

        init(owner: Timers, id: TimerID, repeats: Bool, run: @escaping (TimerID) -> Void) {
            self.owner = owner
            self.id = id
            self.repeats = repeats
            self.run = run
        }
    }

    private let loop: EventLoop
    private var entries: [TimerID: Entry] = [:]
    private var last = 0

    init(loop: EventLoop) { self.loop = loop }

    var all: [TimerID] { entries.keys.sorted { $0.rawValue < $1.rawValue } }

    /// Fires after `delay`, and then each `interval` if there is one.
    func start(after delay: Duration, every interval: Duration?, _ run: @escaping (TimerID) -> Void) -> TimerID {
        last += 1
        let entry = Entry(owner: self, id: TimerID(rawValue: last), repeats: interval != nil, run: run)
        let result = unsafe cre_timer_start(
            loop.raw, UInt64(max(0, delay.milliseconds)), UInt64(max(0, interval?.milliseconds ?? 0)),
            { context, _ in
                let entry = unsafe Unmanaged<Entry>.fromOpaque(context!).takeUnretainedValue()
                if !entry.repeats { entry.owner.clear(entry.id) }
                entry.run(entry.id)
            }, Unmanaged.passUnretained(entry).toOpaque(), &entry.timer)
        precondition(result == 0, "no memory for a timer")
        entries[entry.id] = entry
        return entry.id
    }

    @discardableResult func clear(_ id: TimerID) -> Bool {
        guard let entry = entries.removeValue(forKey: id) else { return false }
        unsafe cre_timer_stop(entry.timer)
        return true
    }

    func clearAll() {
        for id in entries.keys { clear(id) }
    }
}
