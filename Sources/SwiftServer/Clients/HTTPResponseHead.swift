internal import CReactor

/// The head of a response: the bytes as received, and where its fields are in them.
struct HTTPResponseHead: Sendable {
    let status: Int
    private let bytes: [UInt8]
    private let reasonStart: Int
    private let reasonLength: Int
    /// Four numbers for each field: start and length of name and value.
    private let table: [UInt16]

    init(_ head: UnsafePointer<cre_http_client_head>) {
        let parsed = unsafe head.pointee.head.pointee
        status = Int(parsed.status)
        bytes = unsafe [UInt8](UnsafeBufferPointer(start: head.pointee.bytes, count: Int(parsed.head_length)))
        (reasonStart, reasonLength) = (Int(parsed.target), Int(parsed.target_length))
        let count = Int(parsed.field_count)
        table = unsafe [UInt16](unsafeUninitializedCapacity: 4 * count) { table, initialized in
            for index in 0..<count {
                let field = unsafe head.pointee.fields[index]
                unsafe table[4 * index] = field.name
                unsafe table[4 * index + 1] = field.name_length
                unsafe table[4 * index + 2] = field.value
                unsafe table[4 * index + 3] = field.value_length
            }
            initialized = 4 * count
        }
    }

    var reason: String { text(reasonStart, reasonLength) }

    private func text(_ start: Int, _ length: Int) -> String {
        String(decoding: bytes[start..<start + length], as: UTF8.self)
    }

    private func value(_ index: Int) -> String { text(Int(table[index + 2]), Int(table[index + 3])) }

    /// The value of the first field of this name.
    func field(_ name: String) -> String? {
        for index in stride(from: 0, to: table.count, by: 4) {
            let start = Int(table[index])
            if isSameFieldName(bytes[start..<start + Int(table[index + 1])], name.utf8) { return value(index) }
        }
        return nil
    }

    var fields: HTTPClient.Fields {
        var fields = HTTPClient.Fields()
        for index in stride(from: 0, to: table.count, by: 4) {
            fields.add(text(Int(table[index]), Int(table[index + 1])), value(index))
        }
        return fields
    }
}
