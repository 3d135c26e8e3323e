internal import CReactor

/// What a shared table can hold: `Int`, `Double`, `Bool`, `ConnectionID`, `String`, `[UInt8]`, and types of your own
/// that can be turned into one of the ``SharedCell``s and back.
///
/// Such a type also says which kind of column it needs, by ``SharedNumber`` or ``SharedBytes``.
public protocol SharedValue: Sendable {
    /// The value that a cell of the column has.
    init(sharedCell: SharedCell)
    /// The value as the column's cell.
    var sharedCell: SharedCell { get }
    /// The kind of all its cells.
    static var sharedKind: SharedCell.Kind { get }
}

/// A ``SharedValue`` of 8 bytes: all of its cells are `integer`, or all of them are `real`.
public protocol SharedNumber: SharedValue {}

/// A ``SharedValue`` whose cells are `bytes`, up to the size of the column.
public protocol SharedBytes: SharedValue {}

/// What is in one column of one row.
public enum SharedCell: Sendable, Hashable {
    /// A 64-bit number.
    case integer(Int64)
    /// A floating-point number.
    case real(Double)
    /// Bytes, up to the size of the column.
    case bytes([UInt8])

    /// The kinds of cells, and of columns.
    public enum Kind: Sendable, Hashable {
        /// See ``SharedCell/integer(_:)``.
        case integer
        /// See ``SharedCell/real(_:)``.
        case real
        /// See ``SharedCell/bytes(_:)``.
        case bytes
    }

    var integerValue: Int64 { if case .integer(let value) = self { value } else { 0 } }
    var realValue: Double { if case .real(let value) = self { value } else { 0 } }
    var bytesValue: [UInt8] { if case .bytes(let value) = self { value } else { [] } }
}

/// A column of a ``SharedTable``: its name, and the type of its values.
public struct SharedColumn<Value: SharedValue>: Sendable, Hashable {
    /// The name, of 1 to 63 bytes.
    public let name: String
    /// How many bytes a value has at most.
    public let size: Int

    /// A column of numbers.
    public init(_ name: String) where Value: SharedNumber {
        self.name = name
        size = 8
    }

    /// A column of strings or bytes, of at most `size` bytes each; longer ones are refused.
    public init(_ name: String, size: Int) where Value: SharedBytes {
        self.name = name
        self.size = size
    }

    /// This value for this column, for ``SharedTable/set(_:_:)``.
    public func to(_ value: Value) -> SharedAssignment { SharedAssignment(column: name, cell: value.sharedCell) }

    var definition: SharedTable.Definition { SharedTable.Definition(name: name, kind: Value.sharedKind, size: size) }
}

/// A column and the value that it is to have. See ``SharedColumn/to(_:)``.
public struct SharedAssignment: Sendable {
    let column: String
    let cell: SharedCell
}

extension Int: SharedNumber {
    /// The value that a cell has.
    public init(sharedCell: SharedCell) { self = Int(sharedCell.integerValue) }
    /// The value as a cell.
    public var sharedCell: SharedCell { .integer(Int64(self)) }
    /// It is kept as a 64-bit number.
    public static var sharedKind: SharedCell.Kind { .integer }
}

extension Bool: SharedNumber {
    /// The value that a cell has.
    public init(sharedCell: SharedCell) { self = sharedCell.integerValue != 0 }
    /// The value as a cell.
    public var sharedCell: SharedCell { .integer(self ? 1 : 0) }
    /// It is kept as a 64-bit number.
    public static var sharedKind: SharedCell.Kind { .integer }
}

extension ConnectionID: SharedNumber {
    /// The value that a cell has.
    public init(sharedCell: SharedCell) { self.init(rawValue: UInt64(bitPattern: sharedCell.integerValue)) }
    /// The value as a cell.
    public var sharedCell: SharedCell { .integer(Int64(bitPattern: rawValue)) }
    /// It is kept as a 64-bit number.
    public static var sharedKind: SharedCell.Kind { .integer }
}

extension Double: SharedNumber {
    /// The value that a cell has.
    public init(sharedCell: SharedCell) { self = sharedCell.realValue }
    /// The value as a cell.
    public var sharedCell: SharedCell { .real(self) }
    /// It is kept as a floating-point number.
    public static var sharedKind: SharedCell.Kind { .real }
}

extension [UInt8]: SharedValue, SharedBytes {
    /// The value that a cell has.
    public init(sharedCell: SharedCell) { self = sharedCell.bytesValue }
    /// The value as a cell.
    public var sharedCell: SharedCell { .bytes(self) }
    /// It is kept as bytes.
    public static var sharedKind: SharedCell.Kind { .bytes }
}

extension String: SharedBytes {
    /// The value that a cell has.
    public init(sharedCell: SharedCell) { self = String(decoding: sharedCell.bytesValue, as: UTF8.self) }
    /// The value as a cell.
    public var sharedCell: SharedCell { .bytes(Array(utf8)) }
    /// It is kept as bytes.
    public static var sharedKind: SharedCell.Kind { .bytes }
}
