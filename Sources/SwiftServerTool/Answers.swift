/// The answers of a control socket, as far as the tool shows them.
struct Status: Decodable, Sendable {
    struct Port: Decodable, Sendable {
        let address: String
        let `protocol`: String
        let tls: Bool
        let connections: Int?
    }

    struct Process: Decodable, Sendable {
        let name: String
        let role: String
        let pid: Int32?
        let status: String
        let handler: String?
        let connection: String?
        let runningSeconds: Double?
        let calls: Int
        let starts: Int
        let failures: Int
        let tasksWaiting: Int
        let messagesReceived: Int
        let messagesSent: Int
        let requests: Int
        let bytesReceived: Int
        let bytesSent: Int
        let queuedBytes: Int
        let longestTurnSeconds: Double
    }

    struct Reloads: Decodable, Sendable {
        let begun: Int
        let completed: Int
        let aborted: Int
    }

    struct Cluster: Decodable, Sendable {
        let shards: Int
        let connectedShards: Int
        let topics: Int
        let queuedBytes: Int
        let published: Int
        let received: Int
        let dropped: Int
        let skipped: Int
        let lost: Int
        let members: Int
        let openQuestions: Int
        let failedQuestions: Int
    }

    let version: String
    let mode: String
    let pid: Int32
    let uptime: Double
    let ready: Bool
    let obstacles: [String]
    let stopping: Bool
    let reloading: Bool
    let reloads: Reloads
    let logLevel: String
    let maxConnections: Int
    let memoryBudget: Int
    let ports: [Port]
    let processes: [Process]
    /// `nil`: there is none.
    let cluster: Cluster?
    let statistics: [String: Int]

    func number(_ name: String) -> Int { statistics[name] ?? 0 }
}

struct ConnectionList: Decodable {
    struct Connection: Decodable {
        let id: String
        let state: String
        let port: Int
        let address: String
        let tls: Bool
        let worker: Int
        let user: Int?
        let age: Double
        let idle: Double
        let queuedBytes: Int
    }

    let total: Int
    let connections: [Connection]
    let next: UInt32?
}

struct TopicList: Decodable {
    struct Topic: Decodable {
        let name: String
        let subscribers: Int
    }

    struct Process: Decodable {
        let name: String
        let topics: Int
        let subscriptions: Int
        let answered: Bool
    }

    let subscriptions: Int
    let processes: [Process]
    let topics: [Topic]
    let complete: Bool
}

struct CloseResult: Codable {
    var closing = 0
    var gone = 0
    var failed = 0
}

struct ReloadResult: Decodable {
    let begun: Int
}

struct LevelResult: Decodable {
    let level: String
    let before: String
}
