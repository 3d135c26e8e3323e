/// The number of requests, messages or tasks that a process may still take.
struct Quota {
    /// Not positive: any number.
    private var left: Int

    /// 0: any number.
    init(_ count: Int) { left = count }

    /// Takes one. Returns true for the last one.
    @inline(__always) mutating func take() -> Bool {
        guard left > 0 else { return false }
        left -= 1
        return left == 0
    }
}
