internal import Glibc

/// What a process of this machine uses.
package struct ProcessUse: Sendable, Equatable {
    /// The CPU time in seconds, user and system together.
    package let time: Double
    /// The resident memory in bytes.
    package let memory: Double

    package init(time: Double, memory: Double) {
        self.time = time
        self.memory = memory
    }

    /// Reads it; `nil`: there is no such process, or it is one of another machine's.
    package init?(pid: Int32) {
        var bytes = [UInt8](repeating: 0, count: 2048)
        let file = unsafe open("/proc/\(pid)/stat", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        let count = unsafe read(file, &bytes, bytes.count)
        close(file)
        guard count > 0 else { return nil }
        self.init(
            String(decoding: bytes[..<count], as: UTF8.self), ticks: Double(max(1, sysconf(Int32(_SC_CLK_TCK)))),
            page: Double(sysconf(Int32(_SC_PAGESIZE))))
    }

    /// Reads a line of `/proc/PID/stat`. The name of the program may have spaces and parentheses.
    package init?(_ line: String, ticks: Double, page: Double) {
        guard let name = line.lastIndex(of: ")") else { return nil }
        let fields = line[line.index(after: name)...].split(separator: " ")
        // The third field of the line is the first one here.
        guard fields.count > 21, let user = Double(fields[11]), let system = Double(fields[12]),
            let pages = Double(fields[21])
        else { return nil }
        self.init(time: (user + system) / ticks, memory: pages * page)
    }
}
