/// The kind of process that replaces a worker in a reload.
public enum Reload: String, Sendable, CaseIterable {
    /// A fork of the manager: the program as it was when the server started, with fresh memory. Whatever
    /// `onWorkerStart` loads is loaded again.
    case fork
    /// The current program file, started from the beginning: a new version goes into service and, in process mode, no
    /// connection notices. Its `main` runs up to `start()`, which takes the place of a worker instead of starting a
    /// server. Settings that all processes share need a restart: the number of processes, `maxConnections`, `ringSize`,
    /// the size of the largest message, the ports. When the new program does not start, crashes in `onWorkerStart`, or
    /// its settings differ, the old workers stay.
    case newProgram
}
