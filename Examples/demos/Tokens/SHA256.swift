// SHA-256 and HMAC-SHA256 (FIPS 180-4, RFC 2104), short rather than fast. An application uses its crypto library.

/// The first 64 primes, from whose roots the constants of SHA-256 are derived.
private let primes: [Int] = {
    var found: [Int] = []
    var candidate = 2
    while found.count < 64 {
        if found.allSatisfy({ candidate % $0 != 0 }) { found.append(candidate) }
        candidate += 1
    }
    return found
}()

/// The first 32 bits of the fraction of the square root (`degree` 2) or the cube root (3) of a number, exactly.
private func rootFraction(_ number: Int, _ degree: Int) -> UInt32 {
    // The largest r with r^degree <= number << (32 * degree), bit by bit. r has at most 37 bits.
    func fits(_ r: UInt128) -> Bool {
        (0..<degree).reduce(UInt128(1)) { power, _ in power * r } <= UInt128(number) << (32 * degree)
    }
    var root: UInt128 = 0
    for bit in stride(from: 37, through: 0, by: -1) where fits(root | 1 << bit) { root |= 1 << bit }
    return UInt32(truncatingIfNeeded: root)
}

private let constants = primes.map { rootFraction($0, 3) }
private let start = primes.prefix(8).map { rootFraction($0, 2) }

func sha256(_ message: [UInt8]) -> [UInt8] {
    let zeros = (119 - message.count % 64) % 64
    let length = (0..<8).map { UInt8(truncatingIfNeeded: (message.count * 8) >> (56 - 8 * $0)) }
    let bytes = message + [0x80] + [UInt8](repeating: 0, count: zeros) + length
    var state = start
    for block in stride(from: 0, to: bytes.count, by: 64) {
        var words = (0..<16).map { word in
            (0..<4).reduce(UInt32(0)) { $0 << 8 | UInt32(bytes[block + 4 * word + $1]) }
        }
        for i in 16..<64 {
            let (a, b) = (words[i - 15], words[i - 2])
            let low = rotate(a, 7) ^ rotate(a, 18) ^ a >> 3
            let high = rotate(b, 17) ^ rotate(b, 19) ^ b >> 10
            words.append(words[i - 16] &+ low &+ words[i - 7] &+ high)
        }
        var h = state
        for i in 0..<64 {
            let choice = h[4] & h[5] ^ ~h[4] & h[6]
            let majority = h[0] & h[1] ^ h[0] & h[2] ^ h[1] & h[2]
            let high = rotate(h[4], 6) ^ rotate(h[4], 11) ^ rotate(h[4], 25)
            let low = rotate(h[0], 2) ^ rotate(h[0], 13) ^ rotate(h[0], 22)
            let first = h[7] &+ high &+ choice &+ constants[i] &+ words[i]
            h = [first &+ low &+ majority, h[0], h[1], h[2], h[3] &+ first, h[4], h[5], h[6]]
        }
        state = zip(state, h).map { $0 &+ $1 }
    }
    return state.flatMap { word in (0..<4).map { UInt8(truncatingIfNeeded: word >> (24 - 8 * $0)) } }
}

func hmacSHA256(key: [UInt8], _ message: [UInt8]) -> [UInt8] {
    let short = key.count > 64 ? sha256(key) : key
    let padded = short + [UInt8](repeating: 0, count: 64 - short.count)
    return sha256(padded.map { $0 ^ 0x5c } + sha256(padded.map { $0 ^ 0x36 } + message))
}

private func rotate(_ word: UInt32, _ count: UInt32) -> UInt32 { word >> count | word << (32 - count) }
