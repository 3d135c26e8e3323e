import SwiftServer
import Testing

/// Tests of real servers, which run as processes of their own. One after the other: each of them is several processes.
@Suite(.serialized) enum ProcessTests {}

extension ServerMode {
    /// Those with a master, a manager and workers that are replaced.
    static let supervised: [ServerMode] = [.process, .base]
}
