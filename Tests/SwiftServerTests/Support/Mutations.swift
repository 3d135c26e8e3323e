/// Mutations of examples, the same in each run.
struct Mutations {
    private let seeds: [[UInt8]]
    private let words: [[UInt8]]
    private var state: UInt64

    /// - Parameters:
    ///   - seeds: valid inputs.
    ///   - words: pieces that have a meaning in them.
    init(_ seeds: [String], words: [String], seed: UInt64 = 1) {
        self.seeds = seeds.map { [UInt8]($0.utf8) }
        self.words = words.map { [UInt8]($0.utf8) }
        state = seed &* 0x9E37_79B9_7F4A_7C15 | 1
    }

    /// A random number below `limit`.
    mutating func random(below limit: Int) -> Int {
        state ^= state << 13
        state ^= state >> 7
        state ^= state << 17
        return Int(state % UInt64(max(1, limit)))
    }

    /// An example after one to eight changes.
    mutating func next() -> [UInt8] {
        var bytes = seeds[random(below: seeds.count)]
        for _ in 0...random(below: 8) { change(&bytes) }
        return bytes
    }

    private mutating func change(_ bytes: inout [UInt8]) {
        let start = random(below: bytes.count + 1)
        let end = min(bytes.count, start + random(below: 12))
        switch random(below: 7) {
        case 0: if start < bytes.count { bytes[start] = UInt8(random(below: 256)) }
        case 1: if start < bytes.count { bytes[start] ^= 1 << UInt8(random(below: 8)) }
        case 2: bytes.removeSubrange(start..<end)
        case 3: bytes.insert(contentsOf: bytes[start..<end], at: random(below: bytes.count + 1))
        case 4: bytes.insert(contentsOf: words[random(below: words.count)], at: start)
        case 5: bytes.replaceSubrange(start..<end, with: words[random(below: words.count)])
        default:
            let other = seeds[random(below: seeds.count)]
            bytes = Array(bytes[..<start]) + other[random(below: other.count + 1)...]
        }
    }
}
