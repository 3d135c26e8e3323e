/// The condition under which ``ClusterValues`` sets or removes a value.
public struct ValueCondition: Sendable, Hashable {
    enum Kind: Hashable {
        case always
        case absent
        case equal([UInt8])
    }

    let kind: Kind

    /// No condition.
    public static let always = ValueCondition(kind: .always)
    /// The key has no value.
    public static let absent = ValueCondition(kind: .absent)
    /// The key has this text.
    public static func equals(_ text: String) -> ValueCondition { equals(Array(text.utf8)) }
    /// The key has these bytes.
    public static func equals(_ bytes: [UInt8]) -> ValueCondition { ValueCondition(kind: .equal(bytes)) }
}

/// An operation on a value.
struct ValueOperation: Sendable {
    enum Kind: Sendable {
        case get
        case set([UInt8])
        case remove
        case add(Int)
    }

    let kind: Kind
    let key: [UInt8]
    var condition = ValueCondition.always
    /// `nil`: the value does not expire.
    var lifetime: Duration?

    init(_ kind: Kind, _ key: String, if condition: ValueCondition = .always, for lifetime: Duration? = nil) {
        self.kind = kind
        self.key = Array(key.utf8)
        self.condition = condition
        self.lifetime = lifetime
    }
}

/// The result of an operation on a value.
struct ValueOutcome: Sendable {
    /// Whether it was done, or there is a value.
    let isDone: Bool
    /// The value, or the sum.
    let bytes: [UInt8]
}
