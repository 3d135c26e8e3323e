/// The value of an option that is set by its name: a literal, or a value from a configuration file.
public enum OptionValue: Sendable, Hashable, CustomStringConvertible, ExpressibleByIntegerLiteral,
    ExpressibleByFloatLiteral, ExpressibleByBooleanLiteral, ExpressibleByStringLiteral, ExpressibleByArrayLiteral
{
    /// A whole number.
    case integer(Int)
    /// Another number.
    case number(Double)
    /// True or false.
    case bool(Bool)
    /// Text.
    case text(String)
    /// Several values.
    case list([OptionValue])

    /// A whole number.
    public init(integerLiteral value: Int) { self = .integer(value) }
    /// Another number.
    public init(floatLiteral value: Double) { self = .number(value) }
    /// True or false.
    public init(booleanLiteral value: Bool) { self = .bool(value) }
    /// Text.
    public init(stringLiteral value: String) { self = .text(value) }
    /// Several values.
    public init(arrayLiteral elements: OptionValue...) { self = .list(elements) }

    /// The value as a literal.
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

// MARK: - Conversions. Each is `nil` for a value that cannot be converted without loss.

extension OptionValue {
    /// Whole numbers, also as 2.0 and "2".
    var asInt: Int? {
        switch self {
        case .integer(let value): value
        case .number(let value): Int(exactly: value)
        case .text(let text): Int(text)
        default: nil
        }
    }

    var asText: String? { if case .text(let value) = self { value } else { nil } }

    /// Also 0 and 1 as numbers and as text, and the words "true" and "false".
    var asBool: Bool? {
        switch self {
        case .bool(let value): value
        case .text("true"): true
        case .text("false"): false
        default:
            switch asInt {
            case 0: false
            case 1: true
            default: nil
            }
        }
    }

    /// Seconds, also as text.
    var asSeconds: Duration? {
        switch self {
        case .integer(let value): .seconds(value)
        case .number(let value) where value.magnitude < 1e9: .milliseconds(Int((value * 1000).rounded()))
        case .text(let text): Double(text).flatMap { OptionValue.number($0).asSeconds }
        default: nil
        }
    }

    /// Bytes: a number, or text with K, M or G behind it, powers of 1,024.
    var asSize: Int? {
        guard case .text(let text) = self else { return asInt.flatMap { $0 >= 0 ? $0 : nil } }
        let units: [Character: Int] = ["k": 10, "m": 20, "g": 30]
        let shift = text.last.flatMap { units[Character($0.lowercased())] }
        let digits = shift == nil ? text[...] : text.dropLast()
        guard !digits.isEmpty, digits.utf8.allSatisfy({ (48...57).contains($0) }), let value = Int(digits) else {
            return nil
        }
        let (size, overflow) = value.multipliedReportingOverflow(by: 1 << (shift ?? 0))
        return overflow ? nil : size
    }

    var asTexts: [String]? {
        guard case .list(let values) = self else { return nil }
        let texts = values.compactMap(\.asText)
        return texts.count == values.count ? texts : nil
    }

    var asInts: [Int]? {
        guard case .list(let values) = self else { return nil }
        let numbers = values.compactMap(\.asInt)
        return numbers.count == values.count ? numbers : nil
    }

    /// A time in seconds: a whole number when it is one.
    static func seconds(_ time: Duration) -> OptionValue {
        let milliseconds = time.milliseconds
        return milliseconds % 1000 == 0
            ? .integer(Int(milliseconds / 1000)) : .number(Double(milliseconds) / 1000)
    }
}
