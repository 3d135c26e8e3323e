internal import Glibc

/// A server did not do what a test client needs: no answer in time, a malformed answer, the end of the connection.
public struct TestFailure: Error, Sendable, CustomStringConvertible {
    /// One line that names the cause.
    public let description: String

    package init(_ description: String) { self.description = description }

    /// A failure of the system.
    init(_ description: String, _ error: Int32) {
        self.description = unsafe "\(description): \(String(cString: strerror(error)))"
    }
}
