/// The position of a message among those of a topic with history.
///
/// As text, by which clients keep it, it is the offset, a colon and the epoch: "17:00f3a9c1d2e4b586".
public struct TopicPosition: Sendable, Hashable, LosslessStringConvertible {
    /// Changes when the history of the topic was lost and its positions begin again. Not 0.
    public let epoch: UInt64
    /// The number of the message; 0: before the first one. Later messages have higher numbers, not always the next.
    public let offset: UInt64

    /// The position of a message.
    public init(epoch: UInt64, offset: UInt64) {
        self.epoch = epoch
        self.offset = offset
    }

    /// Reads a position from its text; `nil`: the text is not one.
    public init?(_ text: String) {
        let parts = text.utf8.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false)
        guard parts.count == 2, (1...15).contains(parts[0].count), parts[1].count == 16,
            parts[0].allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
            parts[1].allSatisfy({ $0 < 0x80 && Character(UnicodeScalar($0)).isHexDigit }),
            let offset = UInt64(Substring(parts[0])), let epoch = UInt64(Substring(parts[1]), radix: 16), epoch != 0
        else { return nil }
        self.init(epoch: epoch, offset: offset)
    }

    /// The position as text.
    public var description: String {
        let digits = String(epoch, radix: 16)
        return "\(offset):\(String(repeating: "0", count: 16 - digits.count))\(digits)"
    }
}
