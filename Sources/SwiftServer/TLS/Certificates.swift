/// The TLS contexts of a server's ports, in a process that owns their sockets.
struct Certificates: Sendable {
    struct Entry: Sendable {
        let port: Int
        /// The port's name in the log.
        let name: String
        let configuration: TLSConfiguration
        let context: TLSContext
    }

    /// The ports with TLS, by their place.
    let entries: [Entry]

    /// Holds none: the process owns no sockets, or no port uses TLS.
    static let none = Certificates(entries: [])

    func context(ofPort port: Int) -> TLSContext? { entries.first { $0.port == port }?.context }

    /// Reads certificates and keys again, for new connections, and logs the result.
    func reload() {
        for entry in entries {
            do throws(ServerError) {
                try entry.context.reload(entry.configuration)
                Log.notice("\(entry.name): certificates were read again")
            } catch {
                Log.error("\(entry.name): certificates stay as they were: \(error.message)")
            }
        }
    }
}
