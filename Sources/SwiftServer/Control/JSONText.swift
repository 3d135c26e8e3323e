/// A value in JSON, whose members keep their order.
struct JSONText {
    let text: String

    static let null = JSONText(text: "null")

    private init(text: String) { self.text = text }

    init(_ value: Bool) { text = value ? "true" : "false" }
    init(_ value: some BinaryInteger) { text = "\(value)" }
    /// JSON has no infinite numbers.
    init(_ value: Double) { text = value.isFinite ? "\(value)" : "null" }
    init(_ value: Int32?) { self = value.map { JSONText($0) } ?? .null }
    init(_ value: Int?) { self = value.map { JSONText($0) } ?? .null }
    init(_ value: Double?) { self = value.map { JSONText($0) } ?? .null }
    init(_ value: String?) { self = value.map { JSONText($0) } ?? .null }

    init(_ value: String) { text = JSONString.quoted(value) }

    init(_ elements: [JSONText]) { text = "[\(elements.map(\.text).joined(separator: ","))]" }

    init(_ members: KeyValuePairs<String, JSONText>) {
        text = "{\(members.map { "\(JSONText($0).text):\($1.text)" }.joined(separator: ","))}"
    }

    /// Text that is JSON already.
    init(raw: String) { text = raw }
}
