internal import CReactor

/// The ends of packets in a stream.
public struct Framing: Sendable, Hashable {
    let kind: cre_framing_kind.RawValue
    var marker: [UInt8] = []
    var lengthType: Character = "N"
    var lengthOffset = 0
    var bodyOffset = 0
    private var function: LengthFunction?

    /// Bytes as they arrive, up to 64 KiB at once. The default.
    public static let none = Framing(kind: CRE_FRAMING_NONE.rawValue)

    /// Each packet ends with these 1 to 8 bytes, which are part of it: one call per packet.
    public static func endMarker(_ marker: String) -> Framing {
        Framing(kind: CRE_FRAMING_MARKER_SPLIT.rawValue, marker: Array(marker.utf8))
    }

    /// Data is delivered when it ends with these 1 to 8 bytes: perhaps several packets in one call, which the handler
    /// must split. This is cheaper than ``endMarker(_:)``.
    public static func endMarkerCheck(_ marker: String) -> Framing {
        Framing(kind: CRE_FRAMING_MARKER_CHECK.rawValue, marker: Array(marker.utf8))
    }

    /// Each packet has a length field. The whole packet is delivered, header included.
    ///
    /// - Parameters:
    ///   - type: as in PHP's `pack`: "n", "N", "J" are 2, 4, 8 bytes, big endian; "v", "V", "P" little endian; "C" is
    ///     one byte.
    ///   - offset: the place of the field.
    ///   - bodyOffset: the number of bytes that the field does not count; 0 when it counts the whole packet.
    public static func length(_ type: Character = "N", offset: Int = 0, bodyOffset: Int = 4) -> Framing {
        Framing(
            kind: CRE_FRAMING_LENGTH.rawValue, lengthType: type, lengthOffset: offset, bodyOffset: bodyOffset)
    }

    /// The length of a packet, as a function of its first bytes.
    public enum PacketLength: Sendable, Hashable {
        /// The whole packet has this many bytes, 1 or more.
        case bytes(Int)
        /// It is not known yet: the function is called again when more bytes have arrived.
        case unknown
        /// This is no packet; the connection is closed with ``CloseReason/Cause/protocolError``.
        case invalid
    }

    /// Each packet is as long as `length` says, which gets what has arrived of it, perhaps followed by further packets.
    ///
    /// In process mode the function is called in the master, on several reactor threads at once: it must not block, it
    /// does not share the memory of workers, and its crash ends the whole server.
    public static func function(_ length: @escaping @Sendable (RawSpan) -> PacketLength) -> Framing {
        Framing(kind: CRE_FRAMING_FUNCTION.rawValue, function: LengthFunction(length))
    }

    /// A function with an identity.
    private final class LengthFunction: Sendable, Hashable {
        private let length: @Sendable (RawSpan) -> PacketLength

        init(_ length: @escaping @Sendable (RawSpan) -> PacketLength) { self.length = length }

        func call(_ bytes: UnsafeRawBufferPointer) -> Int64 {
            switch unsafe length(bytes.bytes) {
            case .bytes(let count): count > 0 ? Int64(count) : -1
            case .unknown: 0
            case .invalid: -1
            }
        }

        static func == (a: LengthFunction, b: LengthFunction) -> Bool { a === b }

        func hash(into hasher: inout Hasher) { hasher.combine(ObjectIdentifier(self)) }
    }

    /// The fixed header of MQTT 3.1, 3.1.1 and 5: one call per control packet.
    public static let mqtt = Framing(kind: CRE_FRAMING_MQTT.rawValue)

    /// Returns the form of the C core, `nil` when the framing is invalid.
    func config(maxLength: Int) -> cre_framing_config? {
        var config = unsafe cre_framing_config()
        unsafe config.size = MemoryLayout<cre_framing_config>.size
        unsafe config.kind = cre_framing_kind(rawValue: kind)
        unsafe config.max_length = UInt32(clamping: maxLength)
        guard marker.count <= 8, lengthOffset >= 0, bodyOffset >= 0, let type = lengthType.asciiValue else {
            return nil
        }
        unsafe config.marker_length = UInt8(marker.count)
        unsafe withUnsafeMutableBytes(of: &config.marker) { unsafe $0.copyBytes(from: marker) }
        unsafe config.length_type = CChar(bitPattern: type)
        unsafe config.length_offset = UInt32(clamping: lengthOffset)
        unsafe config.body_offset = UInt32(clamping: bodyOffset)
        if let function {
            // Never released: the engines of the process call it as long as they live.
            unsafe config.length_context = Unmanaged.passRetained(function).toOpaque()
            unsafe config.length_function = { context, data, length in
                unsafe Unmanaged<LengthFunction>.fromOpaque(context!)._withUnsafeGuaranteedRef {
                    unsafe $0.call(UnsafeRawBufferPointer(start: data, count: length))
                }
            }
        }
        return unsafe kind == CRE_FRAMING_NONE.rawValue || cre_framing_config_check(&config) == 0 ? config : nil
    }
}
