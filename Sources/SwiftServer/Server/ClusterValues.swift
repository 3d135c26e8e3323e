/// Small values by key, shared by all servers of a ``Server/cluster``; without one, by the processes of this server.
///
/// ```swift
/// try await server.values.set("season", to: "winter")
/// let season = try await server.values.text("season")
/// let visits = try await server.values.add(1, to: "visits")
/// let isLeader = try await server.values.set("leader", to: me, for: .seconds(30), if: .absent)
/// ```
///
/// Each operation is one atomic step in Redis or NATS. Nothing is cached: each operation sends a request there. Every
/// process that runs handlers may use values, on any thread. A key has 1 to 255 bytes, a value at most 64 KiB. Without
/// a cluster all keys and values share 16 MiB of memory, and are lost when the server stops.
///
/// All operations throw ``ClusterError/unavailable`` when the cluster cannot be reached or has not answered within
/// their `timeout`, after which it is unknown whether the operation was done; ``ClusterError/invalid`` for a key of
/// another length and a lifetime that is not positive or longer than ten years; ``ClusterError/tooLarge`` for a value
/// above 64 KiB; ``ClusterError/full`` without room for it; ``ClusterError/noCluster`` before the start and in
/// processes without handlers.
public struct ClusterValues: Sendable {
    /// `nil`: the process runs no handlers.
    private let worker: WorkerContext?

    init(_ worker: WorkerContext?) { self.worker = worker }

    private func apply(_ operation: ValueOperation, _ timeout: Duration) async throws(ClusterError) -> ValueOutcome {
        guard let worker else { throw .noCluster }
        return try await worker.apply(operation, timeout: timeout)
    }

    // MARK: Reading

    /// Returns the value of a key as bytes; `nil`: the key has no value.
    ///
    /// - Throws: ``ClusterError``.
    public func bytes(_ key: String, timeout: Duration = .seconds(5)) async throws(ClusterError) -> [UInt8]? {
        let outcome = try await apply(ValueOperation(.get, key), timeout)
        return outcome.isDone ? outcome.bytes : nil
    }

    /// The text that a key has, in which invalid UTF-8 is replaced; `nil`: none.
    ///
    /// - Throws: ``ClusterError``.
    public func text(_ key: String, timeout: Duration = .seconds(5)) async throws(ClusterError) -> String? {
        try await bytes(key, timeout: timeout).map { String(decoding: $0, as: UTF8.self) }
    }

    /// The integer that a key has; `nil`: no value.
    ///
    /// - Throws: ``ClusterError``, with ``ClusterError/notANumber`` for a value that is no integer in decimal.
    public func number(_ key: String, timeout: Duration = .seconds(5)) async throws(ClusterError) -> Int? {
        guard let text = try await text(key, timeout: timeout) else { return nil }
        guard let number = Int(text) else { throw .notANumber }
        return number
    }

    // MARK: Changing

    /// Sets the bytes of a key, and replaces their lifetime.
    ///
    /// It may be retried after an error, unless it has a condition: then the retry also returns false when the first
    /// attempt has set the value.
    ///
    /// - Parameters:
    ///   - key: the key.
    ///   - bytes: the value.
    ///   - lifetime: the time after which the value is removed; `nil`: it stays.
    ///   - condition: what the key must have now.
    ///   - timeout: the time for an answer.
    /// - Returns: whether the condition was met.
    /// - Throws: ``ClusterError``.
    @discardableResult
    public func set(
        _ key: String, to bytes: [UInt8], for lifetime: Duration? = nil, if condition: ValueCondition = .always,
        timeout: Duration = .seconds(5)
    ) async throws(ClusterError) -> Bool {
        try await apply(ValueOperation(.set(bytes), key, if: condition, for: lifetime), timeout).isDone
    }

    /// Sets the text of a key, as ``set(_:to:for:if:timeout:)-(_,[UInt8],_,_,_)`` sets bytes.
    ///
    /// - Throws: ``ClusterError``.
    @discardableResult
    public func set(
        _ key: String, to text: String, for lifetime: Duration? = nil, if condition: ValueCondition = .always,
        timeout: Duration = .seconds(5)
    ) async throws(ClusterError) -> Bool {
        try await set(key, to: Array(text.utf8), for: lifetime, if: condition, timeout: timeout)
    }

    /// Adds to the integer of a key, which is 0 if there is none. Do not repeat it after an error: it may add twice.
    ///
    /// - Parameters:
    ///   - amount: the number to add; a negative one is subtracted.
    ///   - key: the key.
    ///   - lifetime: the lifetime of a value that this call creates; an existing value keeps its lifetime.
    ///   - timeout: the time for an answer.
    /// - Returns: the sum.
    /// - Throws: ``ClusterError``, with ``ClusterError/notANumber`` for a value that is not a decimal integer, and
    ///   for a sum that overflows 64 bits.
    @discardableResult
    public func add(
        _ amount: Int, to key: String, for lifetime: Duration? = nil, timeout: Duration = .seconds(5)
    ) async throws(ClusterError) -> Int {
        let outcome = try await apply(ValueOperation(.add(amount), key, for: lifetime), timeout)
        guard let sum = Int(String(decoding: outcome.bytes, as: UTF8.self)) else { throw .unavailable }
        return sum
    }

    /// Removes the value of a key. It may be repeated after an error, and returns false when the value was removed
    /// before.
    ///
    /// - Parameters:
    ///   - key: the key.
    ///   - condition: what the key must have now.
    ///   - timeout: the time for an answer.
    /// - Returns: whether there was a value that met the condition.
    /// - Throws: ``ClusterError``.
    @discardableResult
    public func remove(
        _ key: String, if condition: ValueCondition = .always, timeout: Duration = .seconds(5)
    ) async throws(ClusterError) -> Bool {
        try await apply(ValueOperation(.remove, key, if: condition), timeout).isDone
    }
}

extension Server {
    /// Small values that all servers of the ``cluster`` share; without one the processes of this server.
    public var values: ClusterValues { ClusterValues(worker) }
}
