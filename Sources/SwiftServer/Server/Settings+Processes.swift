/// What the settings of processes mean to the one that starts.
extension Settings {
    /// Has this process log where it is to.
    func openLog() throws(ServerError) -> LogFile? {
        var file: LogFile?
        if let logFile { file = try LogFile(logFile, takesOutput: daemonize) }
        Log.open(logLevel, file)
        return file
    }
}
