internal import CReactor

/// Where a packet ends in a stream, which by itself has no bounds.
public struct Framing: Sendable, Hashable {
    let kind: cre_framing_kind.RawValue
    var marker: [UInt8] = []
    var lengthType: Character = "N"
    var lengthOffset = 0
    var bodyOffset = 0

    /// Bytes as they arrive, up to 64 KiB at once. The default.
    public static let none = Framing(kind: CRE_FRAMING_NONE.rawValue)

    /// Each packet ends with these 1 to 8 bytes, which are part of it: one packet for each call.
    public static func endMarker(_ marker: String) -> Framing {
        Framing(kind: CRE_FRAMING_MARKER_SPLIT.rawValue, marker: Array(marker.utf8))
    }

    /// Only the end of what has arrived is looked at: perhaps several packets in one call, to be split by the handler.
    /// Cheaper.
    public static func endMarkerCheck(_ marker: String) -> Framing {
        Framing(kind: CRE_FRAMING_MARKER_CHECK.rawValue, marker: Array(marker.utf8))
    }

    /// A length field: a packet has `bodyOffset` bytes and as many as the field says. What is delivered is all of it.
    ///
    /// - Parameters:
    ///   - type: as in PHP's `pack`: "n", "N", "J" are 2, 4, 8 bytes, highest first; "v", "V", "P" lowest first; "C" is
    ///     one byte.
    ///   - offset: where the field stands.
    ///   - bodyOffset: from where its value counts; 0 when it counts the whole packet.
    public static func length(_ type: Character = "N", offset: Int = 0, bodyOffset: Int = 4) -> Framing {
        Framing(
            kind: CRE_FRAMING_LENGTH.rawValue, lengthType: type, lengthOffset: offset, bodyOffset: bodyOffset)
    }

    /// The fixed header of MQTT 3.1, 3.1.1 and 5: one control packet for each call.
    public static let mqtt = Framing(kind: CRE_FRAMING_MQTT.rawValue)

    /// `nil` when it makes no sense.
    func config(maxLength: Int) -> cre_framing_config? {
        var config = unsafe cre_framing_config()
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
        return unsafe kind == CRE_FRAMING_NONE.rawValue || cre_framing_config_check(&config) == 0 ? config : nil
    }
}
