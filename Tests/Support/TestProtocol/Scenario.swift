/// The handlers of `test-server`.
package enum Scenario: String, CaseIterable, Codable, Sendable {
    case general, span, async, echo, behaviour, broadcast, chaos, connection, dispatch, drain, ports, shared, signals
    case json, straightLine, tasks, timers, upload, version, blocking, noisy, successor, fullDisk
    case largeAnswers, overwriting, throwing, clients, handshakes, info, datagrams, routing, lateChanges, control
    case web, monitoring, files, invalidFiles, compression, invalidCompression, conformance, middleware, addresses
    case history, presence, values
    case taskPorts, informational, http2, clientCertificates
    // Servers that lack a handler, or have a setting that is refused.
    case noRequest, noMessage, noTask, noReceive, noPacket, badFraming, badRoute
    // Servers that end by themselves, or that other threads keep from starting.
    case briefly, crashing, dying, stopping, executor, thread, task, addressClient, nameClient
}

/// A part of the memory that the processes of a server share.
package enum SharedPlace: String, CaseIterable, Codable, Sendable {
    case nodes, table, all
}

/// The step of an `async-main` at which it awaits something.
package enum AsyncStep: String, CaseIterable, Codable, Sendable {
    case nothing, taskBefore, yieldAfter, detachedAfter, lastTask, awaitBefore
    /// Serves by `run()`, and ends by a signal, by the cancellation of its task, and by one before the start.
    case run, runCancelled, runCancelledBefore
}

/// The code of a custom process of the scenario `tasks`.
package enum CustomProcess: String, Codable, Sendable {
    /// Returns at once.
    case idle
    /// Blocks for ever, without and with the signals of a stop ignored.
    case block, ignore
    /// Fails, by a trap in a timer or by an error.
    case crash, fail
    /// Posts several slow tasks, or one whose result it receives.
    case postMany, postOne
    /// Shuts the server down.
    case stop
    /// Broadcasts by a timer, or by asynchronous code.
    case tick, loop
}

/// The end of a program of the scenario `version` during its start.
package enum StartFailure: String, Codable, Sendable {
    case exit, hang, crash
}

/// The rule of the scenario `dispatch`.
package enum DispatchRule: String, Codable, Sendable {
    case byConnection, roundRobin, idleFirst, leastConnections, byAddress, byUser, function
}

/// The place of code that does not return, in the scenario `blocking`.
package enum BlockingPlace: String, Codable, Sendable {
    case start, beforeShutdown, shutdown, managerStop, workerError
    case workerStart, taskWorkerStart, workerStop, message
}

/// What `onWorkerStart` does in the scenario `successor`, by the content of a file.
package enum StartOrder: String, Codable, Sendable {
    /// Nothing else.
    case report
    /// Exits with code 9.
    case crash
    /// Throws an error.
    case fail
    /// Does not return.
    case block
    /// Returns when the order has changed.
    case wait
    /// Starts a timer, and pushes to all connections.
    case push
    /// Posts a task and sends a message, in worker 0.
    case task
}
