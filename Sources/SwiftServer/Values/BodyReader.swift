/// A request's body that is read while it arrives.
protocol BodyReader: AnyObject, Sendable {
    /// Returns the next piece, `nil` at the end of the body.
    @MainActor func read() async throws -> [UInt8]?
}
