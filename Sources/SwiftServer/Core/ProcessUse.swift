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
        guard let line = ProcessLine(pid: pid) else { return nil }
        self.init(
            line, ticks: Double(max(1, sysconf(Int32(_SC_CLK_TCK)))), page: Double(sysconf(Int32(_SC_PAGESIZE))))
    }

    package init?(_ line: ProcessLine, ticks: Double, page: Double) {
        // The third field of the line is the first one here.
        guard line.fields.count > 21, let user = Double(line.fields[11]), let system = Double(line.fields[12]),
            let pages = Double(line.fields[21])
        else { return nil }
        self.init(time: (user + system) / ticks, memory: pages * page)
    }
}
