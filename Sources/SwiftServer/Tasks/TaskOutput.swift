/// A value that an `onTask` handler may return as the result of its task: text, bytes, or an optional of these.
public protocol TaskOutput {
    /// The result as the poster receives it; `nil`: none.
    var taskResult: [UInt8]? { get }
}

extension String: TaskOutput {
    /// The text in UTF-8.
    public var taskResult: [UInt8]? { [UInt8](utf8) }
}

extension Array: TaskOutput where Element == UInt8 {
    /// The bytes themselves.
    public var taskResult: [UInt8]? { self }
}

extension Optional: TaskOutput where Wrapped: TaskOutput {
    /// The result of the value, if there is one.
    public var taskResult: [UInt8]? { self?.taskResult }
}
