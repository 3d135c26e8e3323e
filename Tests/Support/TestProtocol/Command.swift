package import SwiftServer

/// What a client has a worker do. A command is one text message; every other message is echoed.
package enum Command: Codable, Sendable {
    // MARK: In several scenarios

    case who
    case crash
    case block(Duration)
    case sleep(Duration)
    case shutdown
    case close(UInt16, String = "")
    /// Suspends the handler until another client sends `release`, which is answered with the number of those released.
    case hold
    case release

    // MARK: Connections

    case parents
    case leave(exitCode: Int32)
    case push(String, to: ConnectionID)
    case exists(ConnectionID)
    case isEstablished(ConnectionID)
    case connections
    case connectionCount
    case pushToAll(String)
    case pushMany(Int, String)
    case closeTwice
    case closeDetached
    case protect
    case info(ConnectionID)
    case bind(Int)
    case bindDetached(Int)
    case userID(ConnectionID)
    case subscribe(String)
    case unsubscribe(String)
    case join(String, TopicMember)
    case joinDetached(String, TopicMember)
    case presence(String)
    case presenceCount(String)
    case clusterNodes
    /// Answered with a ``CountReport``, as the following ones.
    case subscriberCount(of: String, within: Duration = .seconds(30))
    case subscribeAndCount(String)
    case userConnectionCount(String)
    case countDetached(String)
    case value(ValueStep)
    case valueDetached(ValueStep)
    case publish(String, to: String)
    case publishToOthers(String, to: String)
    /// Publishes the topic, the name of the publisher and each of the numbers, and answers with the first and the last
    /// number of each row of equal results, and the result.
    case publishNumbers(from: Int, to: Int, as: String, topic: String)
    /// Subscribes from a position on; the answer is a ``RecoveryReport``.
    case recover(String, since: String?)
    case position(of: String)
    case positionInTask(of: String)
    case bindUser(String)
    case unbind
    case pushToUser(String, String, exceptSelf: Bool = false)
    case pushToNumber(String, Int)
    case disconnect(user: String, UInt16, String)
    case broadcastToCluster(String)
    case broadcast(String)
    case broadcastDetached(String)
    case broadcastToOthers([UInt8])
    case broadcastPing

    // MARK: The connection as an object

    case handshakeRequest
    case bytes([UInt8])
    case pushDetached(String)
    case send(String)

    // MARK: Memory that is shared with the master

    case overwrite(SharedPlace, UInt8)
    /// Stops the process until it is continued.
    case stopProcess
    case stopTaskWorker
    /// Pushes a large text that begins with the number; or has a task worker do that.
    case answerLargely(Int)
    case haveTaskAnswerLargely(Int)

    // MARK: Straight-line handlers

    case isResumed
    /// Receives a message within a time, which ends the handler; or answers with what was thrown.
    case receive(within: Duration)
    case tryToReceive(within: Duration)
    case receiveInCancelledTask
    case returnFromHandler
    case fail
    /// Pushes large messages, and then "done".
    case pushLarge(Int)
    /// Pushes ten messages from each of several tasks.
    case pushFromTasks(Int)

    // MARK: Processes and threads

    case orphan
    case threads
    case answer(on: Place)
    case hop(Way)
    case sleepCancelled
    case printLines(Int, String)
    case printUnfinished(String)
    case ticks
    case stats
    case loopLag
    /// Answers with the text only.
    case pick(String, padding: String = "")

    // MARK: Shared memory

    case increment(Int)
    case update(Int)
    case counters
    case pair
    case setName(String)
    case name
    case dieInUpdate
    case dieInLock
    case lock
    case makeAtomic

    // MARK: Versions of the program

    case version
    case visit

    // MARK: Tasks and other processes

    case post(Job, on: Int? = nil)
    case wait(Job, timeout: Duration = .seconds(5))
    case callBack(Job)
    case all([Job], timeout: Duration = .seconds(5))
    case burst(Int, Job)
    case fillTasks(Job)
    case flood
    case sendMessage(PipeMessage, to: Int)
    case sendLargeMessage(to: Int)
    case status(of: Int)
    case stop(worker: Int? = nil)
    case reload(onlyTaskWorkers: Bool = false)
    case timer(Duration, holdsWorker: Bool = false)

    /// The command in a message; `nil`: it is none.
    package init?(_ text: String) {
        guard text.hasPrefix("{"), let command = try? decoded(Command.self, text) else { return nil }
        self = command
    }

    package enum Place: String, Codable, Sendable {
        case detachedTask, globalQueue, mainQueue
    }

    /// Ways to suspend a handler.
    package enum Way: String, CaseIterable, Codable, Sendable {
        case yield, sleep, asyncLet, group, actor, continuation, nested
    }
}

/// The data of a task.
package enum Job: Codable, Sendable {
    case echo(String)
    case who
    case origin
    case note(String)
    case twice
    case sleep(Duration)
    case rest(Duration)
    case fail(String)
    case crash
    case push(then: Duration)
    case timer
    case nested
    case big(Int)
    case flood
    case silent
    /// Pushes a text to the connection, closes it, and counts the open ones before.
    case close(ConnectionID)
}

/// A message from one process of the server to another.
package enum PipeMessage: Codable, Hashable, Sendable {
    case ask(Int)
    case answer(Int)
    case push(to: ConnectionID)
    case text(String)
}
