/// Lines of the application in the server's own log.
extension Server {
    /// Writes a line to the server's log: where its own lines go, in their format, with the process and the time.
    ///
    /// ```swift
    /// server.log(.notice, "started", ["rooms": "12"])
    /// // 2026-03-01T12:00:00Z [4712 worker 0] notice: started rooms=12
    /// ```
    ///
    /// Control characters are escaped. It does not wait for a slow reader of the log. From any process and thread.
    ///
    /// - Parameters:
    ///   - level: the line is written unless ``Settings/logLevel`` is higher. ``LogLevel/none`` writes nothing.
    ///   - message: evaluated only if the line is written.
    ///   - fields: names and values behind the message; members of `fields` in ``LogFormat/json``.
    public func log(
        _ level: LogLevel, _ message: @autoclosure () -> String, _ fields: KeyValuePairs<String, String> = [:]
    ) {
        Log.write(level, message) { fields.map { LogField($0.key, $0.value) } }
    }
}

extension Connection {
    /// Writes a line about this connection to the server's log; see ``Server/log(_:_:_:)``. Its last fields are the
    /// connection's `fd` and, while it is open, the `address` of its remote end.
    public func log(
        _ level: LogLevel, _ message: @autoclosure () -> String, _ fields: KeyValuePairs<String, String> = [:]
    ) {
        Log.write(level, message) {
            var all = fields.map { LogField($0.key, $0.value) }
            all.append(LogField("fd", id.description))
            if let address = info?.remoteAddress, !address.isEmpty { all.append(LogField("address", address)) }
            return all
        }
    }
}
