/// What the manager sees and does: time, processes, and what these show in shared memory.
///
/// The manager's decisions are values that act through this alone, so that a simulation of the system can lead them
/// through any sequence of events. The real one is ``ManagerProcess``.
protocol ProcessSystem: AnyObject {
    var now: ContinuousClock.Instant { get }

    // MARK: Processes

    /// Starts the process of a seat, by a fork alone or from the program file. Returns its pid.
    func start(_ id: Int, fromProgram: Bool) throws(ServerError) -> Int32
    /// Starts a successor that gets ready while its predecessor serves, and opens the channel to it. Returns its pid.
    func prepare(_ id: Int, fromProgram: Bool) throws(ServerError) -> Int32
    /// The report of the successor that has arrived, without waiting.
    func report() -> ControlChannel.Report
    /// Lets the successor begin.
    func letBegin()
    /// Closes the channel to the successor.
    func endChannel()
    /// Whether SIGSTOP or the like has stopped a child.
    func isStopped(_ pid: Int32) -> Bool
    /// Sends a signal to a child that was not waited for yet.
    func send(_ signal: Int32, to pid: Int32)
    /// Asks a child to stop within a time.
    func sendStop(to pid: Int32, within limit: Duration)

    // MARK: Shared memory

    func activity(of id: Int) -> Activity
    /// The pid of the process that has opened the mailbox of a seat; 0: none.
    func pid(of id: Int) -> Int32
    /// Has the process of a seat take a turn of its loop.
    func wake(_ id: Int)
    /// Forgets the dead process of a seat, before its successor is started.
    func forget(_ id: Int)
    /// Counts an event of the process of a seat, with `nil` of the manager.
    func count(_ event: ProcessEvent, of id: Int?)
    /// Whether workers run a new program by now, so that their replacements must run it too.
    var usesProgram: Bool { get }
    /// From here on all processes are started from the program file.
    func adoptProgram()

    // MARK: The rest of the server

    /// Requests the stop of the server from the master.
    func requestShutdown()
    func log(_ level: LogLevel, _ message: @autoclosure () -> String)
}
