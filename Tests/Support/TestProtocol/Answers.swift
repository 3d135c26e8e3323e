import Glibc
package import SwiftServer

package struct WorkerIdentity: Codable, Hashable, Sendable {
    package let id: Int
    package let pid: Int32

    package init(id: Int, pid: Int32) {
        self.id = id
        self.pid = pid
    }

    @MainActor package init(_ server: Server) { self.init(id: server.workerID, pid: getpid()) }
}

package struct Parents: Codable, Hashable, Sendable {
    package let master: Int32
    package let manager: Int32
    /// Of the worker.
    package let parent: Int32

    package init(master: Int32, manager: Int32, parent: Int32) {
        self.master = master
        self.manager = manager
        self.parent = parent
    }
}

package struct Threads: Codable, Hashable, Sendable {
    /// On the main thread, before and after the handler was suspended.
    package let onMain: [Bool]
    package let count: Int

    package init(onMain: [Bool], count: Int) {
        self.onMain = onMain
        self.count = count
    }
}

/// A `ConnectionInfo`.
package struct ConnectionReport: Codable, Hashable, Sendable {
    package let fd: ConnectionID
    package let status: ConnectionInfo.WebSocketStatus
    package let port: Int
    package let portIndex: Int
    package let socketType: ConnectionInfo.SocketType
    package let isSecure: Bool
    package let address: String
    package let connectTime: Double
    package let lastReceiveTime: Double
    package let lastSendTime: Double?
    package let worker: Int
    package let reactor: Int?
    package let queuedBytes: Int

    package init(_ info: ConnectionInfo) {
        fd = info.fd
        status = info.webSocketStatus
        port = info.serverPort
        portIndex = info.portIndex
        socketType = info.socketType
        isSecure = info.isSecure
        address = info.remoteAddress
        connectTime = info.connectTime
        lastReceiveTime = info.lastReceiveTime
        lastSendTime = info.lastSendTime
        worker = info.workerID
        reactor = info.reactorID
        queuedBytes = info.queuedBytes
    }
}

/// Some of the numbers of `stats()`.
package struct Counts: Codable, Hashable, Sendable {
    package let connections, accepted, closed, closedByPeer, messagesReceived, bytesReceived, bytesSent: Int
    package let requestsInProgress, idleWorkers, idleTaskWorkers, tasksWaiting, tasksDone: Int

    package init(_ stats: ServerStatistics) {
        connections = stats.connections
        accepted = stats.accepted
        closed = stats.closed
        closedByPeer = stats.closedBy[.peer] ?? 0
        messagesReceived = stats.messagesReceived
        bytesReceived = stats.bytesReceived
        bytesSent = stats.bytesSent
        requestsInProgress = stats.requestsInProgress
        idleWorkers = stats.idleWorkers
        idleTaskWorkers = stats.idleTaskWorkers
        tasksWaiting = stats.tasksWaiting
        tasksDone = stats.tasksDone
    }
}

/// A number of connections, or an error in words.
package struct CountReport: Codable, Hashable, Sendable {
    package var count = -1
    package var error = ""

    package init(count: Int) { self.count = count }
    package init(error: String) { self.error = error }
}

/// The members of a topic, or an error in words.
package struct PresenceReport: Codable, Sendable {
    package var members: [TopicMember] = []
    package var error = ""

    package init(members: [TopicMember] = [], error: String = "") {
        self.members = members
        self.error = error
    }
}

package struct LoopLag: Codable, Sendable {
    package let longest: Duration
    package let average: Duration

    package init(longest: Duration, average: Duration) {
        self.longest = longest
        self.average = average
    }
}

package struct VersionReport: Codable, Hashable, Sendable {
    package let version: Int
    package let worker: WorkerIdentity

    package init(_ version: Int, _ worker: WorkerIdentity) {
        self.version = version
        self.worker = worker
    }
}

package struct Visit: Codable, Hashable, Sendable {
    package let version: Int
    /// By all versions of the program.
    package let count: Int

    package init(version: Int, count: Int) {
        self.version = version
        self.count = count
    }
}

package struct ProcessStatus: Codable, Hashable, Sendable {
    package let status: WorkerStatus?
    package let pid: Int32

    package init(_ status: WorkerStatus?, pid: Int32) {
        self.status = status
        self.pid = pid
    }
}

// MARK: - Tasks

/// A `TaskPosting`.
package enum Posting: Codable, Hashable, Sendable {
    case posted(UInt64)
    case full
    case refused

    package init(_ posting: TaskPosting) {
        self =
            switch posting {
            case .posted(let id): .posted(id.rawValue)
            case .full: .full
            case .refused: .refused
            }
    }
}

/// The data of a task: a job, and the client that receives its results.
package struct TaskOrder: Codable, Sendable {
    package let client: ConnectionID?
    package let job: Job

    package init(_ job: Job, for client: ConnectionID?) {
        self.client = client
        self.job = job
    }
}

/// The result of a task, with the client of its order.
package struct TaskReply: Codable, Sendable {
    package let client: ConnectionID?
    package let result: TaskResult

    package init(_ result: TaskResult, for client: ConnectionID?) {
        self.client = client
        self.result = result
    }
}

package enum TaskResult: Codable, Hashable, Sendable {
    case text(String)
    /// Instead of a text that is too long to be shown.
    case textOf(bytes: Int)
    case process(WorkerIdentity, isTaskWorker: Bool)
    case origin(worker: Int, id: UInt64)
    case version(VersionReport)
}

/// The end of a task that its poster has waited for.
package enum TaskOutcome: Codable, Hashable, Sendable {
    case result(TaskResult?)
    case failure(String)
}

/// A result that onFinish has delivered.
package struct Finished: Codable, Hashable, Sendable {
    package let finished: TaskResult

    package init(_ result: TaskResult) { finished = result }
}

/// A `TopicRecovery`.
package struct RecoveryReport: Codable, Hashable, Sendable {
    package let outcome: String
    package let position: String?
    package let count: Int

    package init(_ outcome: String, _ position: String?, count: Int = 0) {
        self.outcome = outcome
        self.position = position
        self.count = count
    }

    package init(_ recovery: TopicRecovery) {
        switch recovery {
        case .subscribed(let position): self.init("subscribed", "\(position)")
        case .recovered(let position, let count): self.init("recovered", "\(position)", count: count)
        case .lost(let position): self.init("lost", "\(position)")
        case .refused(let cause): self.init("\(cause)", nil)
        }
    }
}
