/// The handlers of tasks.
struct TaskHandlers: @unchecked Sendable {
    // `@unchecked`: registered before `start()`, called on the loop's thread only.
    var task: ((TaskRunner, ServerTask) -> Void)?
    var finish: ((TaskID, [UInt8]) -> Void)?
    var taskError: ((TaskID, TaskError) -> Void)?
}
