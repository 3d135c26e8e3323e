/// Identifies a request among those of its connection that are in progress.
struct RequestID: Hashable, Sendable {
    let connection: ConnectionID
    let number: UInt8
}
