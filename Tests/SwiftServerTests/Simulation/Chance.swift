/// Random numbers that are the same for the same seed, on every machine: SplitMix64.
struct Chance {
    private var state: UInt64

    init(_ seed: UInt64) { state = seed }

    /// A sequence of its own, so that what one part draws does not change what others draw.
    init(_ seed: UInt64, part: UInt64) {
        state = seed
        state = next() ^ part &* 0xD134_2543_DE82_EF95
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ mixed >> 30) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ mixed >> 27) &* 0x94D0_49BB_1331_11EB
        return mixed ^ mixed >> 31
    }

    mutating func number(_ range: ClosedRange<Int>) -> Int {
        range.lowerBound + Int(next() % UInt64(range.upperBound - range.lowerBound + 1))
    }

    mutating func happens(percent: Int) -> Bool { number(0...99) < percent }

    /// Mostly from the lower part of a range, sometimes from all of it.
    mutating func duration(_ range: ClosedRange<Int>) -> Int {
        let upper =
            happens(percent: 20) ? range.upperBound : range.lowerBound + (range.upperBound - range.lowerBound) / 8
        return number(range.lowerBound...upper)
    }
}
