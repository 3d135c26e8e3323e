/// A task in the task worker that runs it.
@MainActor public struct ServerTask {
    /// The poster's number of the task.
    public let id: TaskID
    /// The number of the process that posted it; -1 for the master and the manager.
    public let workerID: Int
    /// The posted data.
    public let data: [UInt8]
    /// Whether results are delivered to the poster.
    public let wantsResult: Bool
    let runner: TaskRunner

    /// ``data`` as text. Invalid UTF-8 is replaced.
    public var text: String { String(decoding: data, as: UTF8.self) }

    /// Sends a result to the poster, whose `onFinish` receives it. It may be called several times before the task ends.
    ///
    /// - Returns: whether it is on its way, or why not.
    @discardableResult public func finish(_ result: [UInt8]) -> ReplyResult { runner.answer(self, result) }

    /// Sends a result as text.
    @discardableResult public func finish(_ result: String) -> ReplyResult {
        runner.answer(self, [UInt8](result.utf8))
    }
}
