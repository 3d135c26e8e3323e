/// A member of a topic: one or several connections that are subscribed with the same id, on one or several servers.
public struct TopicMember: Sendable, Hashable, Codable {
    /// The id that the application has given it, such as a user's name.
    public let id: String
    /// What the application has to say of it, such as a name to show; empty: nothing. That of the last subscription.
    public let info: String

    /// Creates a member.
    public init(id: String, info: String = "") {
        self.id = id
        self.info = info
    }
}

/// Why the ``Server/cluster`` has not done what it was asked for.
public enum ClusterError: Error, Sendable, Hashable {
    /// The server has no ``Server/cluster``, or is not started.
    case noCluster
    /// The cluster cannot be reached, or has not answered in time.
    case unavailable
    /// A name or key is empty or too long, or a lifetime is out of its range.
    case invalid
    /// The topic has more than 10,000 members, or more than 4 MiB of them. This is their number.
    case tooMany(Int)
    /// Some servers, or processes of this one, have not answered in time. This is the number of connections of those
    /// that have.
    case incomplete(Int)
    /// A value is larger than 64 KiB, or than a message of the server of NATS may be.
    case tooLarge
    /// There is no room for a value: in Redis or NATS, or, without a cluster, in the 16 MiB of the server.
    case full
    /// A value is not an integer, or a sum is out of the range of 64 bits.
    case notANumber
}

extension ClusterError: CustomStringConvertible {
    /// In words, for logs.
    public var description: String {
        switch self {
        case .noCluster: "the server is not started, this process runs no handlers, or the server has no cluster"
        case .unavailable: "the cluster cannot be reached, or has not answered in time"
        case .invalid: "a name or key must be 1 to 255 bytes, a lifetime positive and at most ten years"
        case .tooMany(let count): "the topic has \(count) members, more than one list may have"
        case .incomplete(let count): "some servers have not answered in time; the others have \(count) connections"
        case .tooLarge: "the value is larger than 64 KiB, or than NATS permits"
        case .full: "there is no room for the value"
        case .notANumber: "the value is not an integer, or the sum is out of the range of 64 bits"
        }
    }
}
