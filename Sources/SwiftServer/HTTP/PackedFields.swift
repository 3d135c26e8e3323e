internal import CReactor

/// The header fields of a response in the form that crosses to other processes (`cre_http_fields_put`). Names match in
/// any letter case.
struct PackedFields {
    /// Memory whose first `length` bytes are the fields.
    private var storage: [UInt8] = []
    private var length = 0

    /// The size up to which ``removeAll()`` keeps the memory.
    private static let mostReusable = 4096

    /// Removes all fields, and keeps their memory for others unless it is large.
    mutating func removeAll() {
        if storage.count > PackedFields.mostReusable { storage = [] }
        length = 0
    }

    var isEmpty: Bool { length == 0 }
    var bytes: [UInt8] { Array(storage[..<length]) }

    @inline(__always) func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        unsafe storage.withUnsafeBytes { unsafe body(UnsafeRawBufferPointer(rebasing: $0[..<length])) }
    }

    /// Adds a field. Returns false, and adds nothing, if it must not be sent or does not fit.
    mutating func append(_ name: String, _ value: String) -> Bool {
        unsafe name.withBytes { name in unsafe value.withBytes { value in unsafe append(name, value) } }
    }

    @inline(__always)
    private mutating func append(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Bool {
        let size = length + name.count + value.count + Int(CRE_HTTP_FIELD_OVERHEAD)
        if size > storage.count {
            guard size <= CRE_HTTP_MAX_HEAD else { return false }
            grow(to: size)
        }
        let added = unsafe storage.withUnsafeMutableBytes { room in
            unsafe cre_http_fields_add(
                room.baseAddress.unsafelyUnwrapped + length, room.count - length,
                name.baseAddress, name.count, value.baseAddress, value.count)
        }
        guard added > 0 else { return false }
        length += Int(added)
        return true
    }

    @inline(never) private mutating func grow(to size: Int) {
        let capacity = max(256, size, min(2 * storage.count, Int(CRE_HTTP_MAX_HEAD)))
        storage = unsafe [UInt8](unsafeUninitializedCapacity: capacity) { room, count in
            unsafe room.initialize(repeating: 0)
            unsafe storage.withUnsafeBytes {
                unsafe UnsafeMutableRawBufferPointer(room).copyMemory(
                    from: UnsafeRawBufferPointer(rebasing: $0[..<length]))
            }
            count = capacity
        }
    }

    @inline(__always)
    private static func isValid(_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer) -> Bool {
        // An empty string may have no address; an empty name is refused before it is looked at.
        guard let start = unsafe name.baseAddress?.assumingMemoryBound(to: CChar.self) else { return false }
        var field = unsafe cre_http_header(
            name: start, value: value.baseAddress?.assumingMemoryBound(to: CChar.self) ?? start,
            name_length: UInt32(name.count), value_length: UInt32(value.count))
        return unsafe cre_http_header_valid(&field)
    }

    /// Whether a field may be sent.
    static func isValid(_ name: String, _ value: String) -> Bool {
        unsafe name.withBytes { name in unsafe value.withBytes { value in unsafe isValid(name, value) } }
    }

    /// Replaces all fields of this name by one. Returns false, and changes nothing, if it must not be sent.
    mutating func set(_ name: String, _ value: String) -> Bool {
        guard PackedFields.isValid(name, value) else { return false }
        var others = self
        others.remove(name)
        guard others.append(name, value) else { return false }
        self = others
        return true
    }

    /// Removes all fields of this name.
    mutating func remove(_ name: String) {
        var kept: [UInt8] = []
        unsafe forEach { found, _, entry in
            if unsafe !PackedFields.isSame(found, name) { unsafe kept.append(contentsOf: entry) }
            return true
        }
        (storage, length) = (kept, kept.count)
    }

    /// The value of the first field of this name.
    func first(_ name: String) -> String? {
        var result: String?
        unsafe forEach { found, value, _ in
            guard unsafe PackedFields.isSame(found, name) else { return true }
            result = unsafe String(decoding: value, as: UTF8.self)
            return false
        }
        return result
    }

    /// All fields in order.
    var all: [(name: String, value: String)] {
        var found: [(name: String, value: String)] = []
        unsafe forEach { name, value, _ in
            found.append(
                (
                    name: unsafe String(decoding: name, as: UTF8.self),
                    value: unsafe String(decoding: value, as: UTF8.self)
                ))
            return true
        }
        return found
    }

    /// Calls `body` with name, value and packed form of each field, until that returns false.
    private func forEach(
        _ body: (_ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer, _ entry: UnsafeRawBufferPointer) ->
            Bool
    ) {
        unsafe storage.withUnsafeBufferPointer { bytes in
            guard let start = bytes.baseAddress else { return }
            var cursor: UnsafePointer<UInt8>? = unsafe start
            let end = unsafe start + length
            var field = unsafe cre_http_header()
            while let entry = unsafe cursor, unsafe cre_http_fields_next(&cursor, end, &field) {
                let (nameLength, valueLength) = unsafe (Int(field.name_length), Int(field.value_length))
                let size = nameLength + valueLength + Int(CRE_HTTP_FIELD_OVERHEAD)
                guard
                    unsafe body(
                        UnsafeRawBufferPointer(start: field.name, count: nameLength),
                        UnsafeRawBufferPointer(start: field.value, count: valueLength),
                        UnsafeRawBufferPointer(start: entry, count: size))
                else { return }
            }
        }
    }

    private static func isSame(_ found: UnsafeRawBufferPointer, _ name: String) -> Bool {
        guard found.count == name.utf8.count else { return false }
        return unsafe zip(found, name.utf8).allSatisfy { lower($0) == lower($1) }
    }

    private static func lower(_ byte: UInt8) -> UInt8 {
        (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte | 0x20 : byte
    }
}
