import Glibc

/// Waiting that always ends. Nothing here says how fast something must be, only that it must not hang.
enum Wait {
    static let patience: Duration = .seconds(10)

    struct TimedOut: Error, CustomStringConvertible {
        let what: String
        var description: String { "waited in vain for \(what)" }
    }

    static func until(_ what: @autoclosure () -> String, _ condition: () throws -> Bool) throws {
        let deadline = ContinuousClock.now + patience
        while try !condition() {
            guard ContinuousClock.now < deadline else { throw TimedOut(what: what()) }
            usleep(2000)
        }
    }

    /// Until the descriptor is ready for `events`, or has failed.
    static func poll(
        _ descriptor: Int32, _ events: Int32, until deadline: ContinuousClock.Instant, _ what: @autoclosure () -> String
    ) throws {
        while true {
            let left = deadline - .now
            guard left > .zero else { throw TimedOut(what: what()) }
            var entry = pollfd(fd: descriptor, events: Int16(events), revents: 0)
            let milliseconds = left.components.seconds * 1000 + left.components.attoseconds / 1_000_000_000_000_000
            if unsafe Glibc.poll(&entry, 1, Int32(milliseconds) + 1) > 0 { return }
        }
    }
}

struct SystemError: Error, CustomStringConvertible {
    let doing: String
    let number: Int32

    init(_ doing: String, _ number: Int32 = errno) {
        self.doing = doing
        self.number = number
    }

    var description: String { "\(doing): error \(number)" }
}
