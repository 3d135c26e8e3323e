/// An operation on a value, by a client of the scenario `values`.
package enum ValueStep: Codable, Sendable {
    case text(String)
    case number(String)
    case size(String)
    case set(String, to: String, for: Duration? = nil, if: Expectation? = nil)
    /// Sets that many bytes.
    case fill(String, Int)
    case add(Int, to: String, for: Duration? = nil)
    case remove(String, if: Expectation? = nil)

    package enum Expectation: Codable, Sendable {
        case absent
        case equals(String)
    }
}

/// What has become of it; `nil` where the operation has no such result.
package struct ValueReport: Codable, Sendable, Equatable {
    package var text: String?
    package var number: Int?
    package var isDone: Bool?
    package var error: String?

    package init(text: String? = nil, number: Int? = nil, isDone: Bool? = nil, error: String? = nil) {
        (self.text, self.number, self.isDone, self.error) = (text, number, isDone, error)
    }

    package static let nothing = ValueReport()
    package static let done = ValueReport(isDone: true)
    package static let notDone = ValueReport(isDone: false)
    package static func text(_ text: String) -> ValueReport { ValueReport(text: text) }
    package static func number(_ number: Int) -> ValueReport { ValueReport(number: number) }
}
