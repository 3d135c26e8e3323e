/// Counts of durations by class: each class is at most an eighth of a doubling wide, so memory is bounded and a
/// quantile is exact to about 9 %.
struct Latencies: Sendable, Equatable {
    /// Classes of one doubling.
    private static let steps = 8
    private static let doublings = 40
    private var counts = [Int](repeating: 0, count: steps * doublings)
    private(set) var count = 0
    private(set) var sum = 0.0
    private(set) var least = Double.infinity
    private(set) var most = 0.0

    /// Counts one duration in seconds.
    mutating func add(_ seconds: Double) {
        counts[Latencies.place(seconds)] += 1
        count += 1
        sum += seconds
        least = min(least, seconds)
        most = max(most, seconds)
    }

    mutating func merge(_ other: Latencies) {
        for place in counts.indices { counts[place] += other.counts[place] }
        count += other.count
        sum += other.sum
        least = min(least, other.least)
        most = max(most, other.most)
    }

    var mean: Double { count > 0 ? sum / Double(count) : 0 }

    /// The duration that `share` of all do not exceed.
    func quantile(_ share: Double) -> Double {
        guard count > 0 else { return 0 }
        let rank = max(1, Int((share * Double(count)).rounded(.up)))
        var seen = 0
        for (place, more) in counts.enumerated() {
            seen += more
            guard seen >= rank else { continue }
            // The last class has no limit.
            return place == counts.count - 1 ? most : min(most, max(least, Latencies.limit(place)))
        }
        return most
    }

    /// From 1 ns on; below and above the first and last class count in those.
    private static func place(_ seconds: Double) -> Int {
        let nanoseconds = min(max(1, seconds * 1e9), 2e12)
        let doubling = min(doublings - 1, nanoseconds.exponent < 0 ? 0 : Int(nanoseconds.exponent))
        let step = Int((nanoseconds / (1 << doubling).asDouble - 1) * Double(steps))
        return doubling * steps + min(steps - 1, max(0, step))
    }

    /// The upper limit of a class in seconds.
    private static func limit(_ place: Int) -> Double {
        let (doubling, step) = (place / steps, place % steps)
        return (1 << doubling).asDouble * (1 + Double(step + 1) / Double(steps)) / 1e9
    }

    /// Bars, one for each doubling from the first to the last that has any.
    func bars(width: Int) -> [String] {
        let rows = (0..<Latencies.doublings).map { doubling in
            counts[(doubling * Latencies.steps)..<((doubling + 1) * Latencies.steps)].reduce(0, +)
        }
        guard let first = rows.firstIndex(where: { $0 > 0 }), let last = rows.lastIndex(where: { $0 > 0 }),
            let most = rows.max()
        else { return [] }
        return (first...last).map { doubling in
            let limit = Text.padded("< " + Amount.time((2 << doubling).asDouble / 1e9), 12, .right)
            let length = Int((Double(rows[doubling]) / Double(most) * Double(width)).rounded(.up))
            return "\(limit)  \(Text.padded("\(rows[doubling])", 9, .right))  \(String(repeating: "█", count: length))"
        }
    }
}

extension Int {
    fileprivate var asDouble: Double { Double(self) }
}
