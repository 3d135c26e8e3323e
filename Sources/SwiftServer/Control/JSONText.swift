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

    init(_ value: String) {
        var text = "\""
        for scalar in value.unicodeScalars {
            switch scalar {
            case "\\": text += "\\\\"
            case "\"": text += "\\\""
            case _ where scalar.value < 0x20 || scalar.value == 0x7f:
                let digits = String(scalar.value, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: text.unicodeScalars.append(scalar)
            }
        }
        self.text = text + "\""
    }

    init(_ elements: [JSONText]) { text = "[\(elements.map(\.text).joined(separator: ","))]" }

    init(_ members: KeyValuePairs<String, JSONText>) {
        text = "{\(members.map { "\(JSONText($0).text):\($1.text)" }.joined(separator: ","))}"
    }

    /// Text that is JSON already.
    init(raw: String) { text = raw }
}
