/// The value of an option that is set by its name: what a literal says, or a configuration file.
public enum OptionValue: Sendable, Hashable, CustomStringConvertible, ExpressibleByIntegerLiteral,
    ExpressibleByFloatLiteral, ExpressibleByBooleanLiteral, ExpressibleByStringLiteral, ExpressibleByArrayLiteral
{
    /// A whole number.
    case integer(Int)
    /// Another number.
    case number(Double)
    /// Yes or no.
    case bool(Bool)
    /// Text.
    case text(String)
    /// Several of them.
    case list([OptionValue])

    /// A whole number.
    public init(integerLiteral value: Int) { self = .integer(value) }
    /// Another number.
    public init(floatLiteral value: Double) { self = .number(value) }
    /// Yes or no.
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    /// Text.
    public init(stringLiteral value: String) { self = .text(value) }
    /// Several of them.
    public init(arrayLiteral elements: OptionValue...) { self = .list(elements) }

    /// As it would be written.
    public var description: String {
        switch self {
        case .integer(let value): "\(value)"
        case .number(let value): "\(value)"
        case .bool(let value): "\(value)"
        case .text(let value): "\"\(value)\""
        case .list(let values): "\(values)"
        }
    }
}

// MARK: - What options want. Each is `nil` when the value is of another kind.

extension OptionValue {
    var asInt: Int? { if case .integer(let value) = self { value } else { nil } }
    var asText: String? { if case .text(let value) = self { value } else { nil } }

    /// Also 0 and 1.
    var asBool: Bool? {
        switch self {
        case .bool(let value): value
        case .integer(0): false
        case .integer(1): true
        default: nil
        }
    }

    /// Seconds.
    var asSeconds: Duration? {
        switch self {
        case .integer(let value): .seconds(value)
        case .number(let value) where value.magnitude < 1e9: .milliseconds(Int((value * 1000).rounded()))
        default: nil
        }
    }

    /// Bytes: a number, or text with K, M or G behind it, powers of 1,024.
    var asSize: Int? {
        switch self {
        case .integer(let value) where value >= 0: return value
        case .text(let text):
            let units: [Character: Int] = ["k": 10, "m": 20, "g": 30]
            let shift = text.last.flatMap { units[Character($0.lowercased())] }
            let digits = shift == nil ? text[...] : text.dropLast()
            guard !digits.isEmpty, digits.utf8.allSatisfy({ (48...57).contains($0) }), let value = Int(digits) else {
                return nil
            }
            let (size, overflow) = value.multipliedReportingOverflow(by: 1 << (shift ?? 0))
            return overflow ? nil : size
        default: return nil
        }
    }

    var asInts: [Int]? {
        guard case .list(let values) = self else { return nil }
        let numbers = values.compactMap(\.asInt)
        return numbers.count == values.count ? numbers : nil
    }
}
