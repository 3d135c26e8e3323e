/// The response to a request, as it was received.
public struct TestResponse: Sendable {
    /// The status.
    public let status: Int
    /// The header fields, in order.
    public let fields: [(name: String, value: String)]
    /// The body as bytes.
    public let bytes: [UInt8]

    /// The body as text.
    public var body: String { String(decoding: bytes, as: UTF8.self) }

    /// The value of the first field of this name, in any letter case.
    public subscript(name: String) -> String? { all(name).first }

    /// The values of all fields of this name, in any letter case.
    public func all(_ name: String) -> [String] {
        fields.filter { $0.name.lowercased() == name.lowercased() }.map(\.value)
    }
}
