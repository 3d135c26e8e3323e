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
