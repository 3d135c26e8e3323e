#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// The form of JSON: how dates and keys are written. It encodes and decodes `Codable` values.
public struct JSONFormat: Sendable, Hashable {
    /// The form of dates.
    public enum Dates: Sendable, Hashable {
        /// "2026-03-01T12:00:00Z".
        case iso8601
        /// A number.
        case secondsSince1970
        /// A number.
        case millisecondsSince1970
    }

    /// The form of keys.
    public enum Keys: Sendable, Hashable {
        /// As the type declares them.
        case asDeclared
        /// `firstName` is "first_name".
        case snakeCase
    }

    /// The form of dates.
    public var dates: Dates
    /// The form of keys.
    public var keys: Keys
    /// Whether objects are written with sorted keys, so that equal values have equal texts.
    public var sortsKeys: Bool

    /// Dates as ISO 8601 text, keys as declared, not sorted.
    public static let standard = JSONFormat()

    /// Makes a format.
    public init(dates: Dates = .iso8601, keys: Keys = .asDeclared, sortsKeys: Bool = false) {
        self.dates = dates
        self.keys = keys
        self.sortsKeys = sortsKeys
    }

    /// Returns the JSON of a value on one line, as UTF-8.
    public func encode(_ value: some Encodable) throws(JSONEncodingError) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = sortsKeys ? [.withoutEscapingSlashes, .sortedKeys] : .withoutEscapingSlashes
        encoder.keyEncodingStrategy = keys == .snakeCase ? .convertToSnakeCase : .useDefaultKeys
        encoder.dateEncodingStrategy =
            switch dates {
            case .iso8601: .iso8601
            case .secondsSince1970: .secondsSince1970
            case .millisecondsSince1970: .millisecondsSince1970
            }
        do { return [UInt8](try encoder.encode(value)) } catch { throw JSONEncodingError(type(of: value), error) }
    }

    /// Reads a value from JSON.
    public func decode<Value: Decodable>(_ type: Value.Type, from bytes: [UInt8]) throws(JSONDecodingError) -> Value {
        guard !bytes.isEmpty else { throw JSONDecodingError(path: "", cause: "there is no JSON: the input is empty") }
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = keys == .snakeCase ? .convertFromSnakeCase : .useDefaultKeys
        decoder.dateDecodingStrategy =
            switch dates {
            case .iso8601: .iso8601
            case .secondsSince1970: .secondsSince1970
            case .millisecondsSince1970: .millisecondsSince1970
            }
        do { return try decoder.decode(type, from: Data(bytes)) } catch { throw JSONDecodingError(error) }
    }
}
