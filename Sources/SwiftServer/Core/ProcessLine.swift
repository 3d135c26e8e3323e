internal import Glibc

/// The line of `/proc/PID/stat`: what the kernel says of a process of this machine.
package struct ProcessLine: Sendable {
    /// The fields behind the name of the program. The first one is the state.
    let fields: [Substring]

    /// `nil`: there is no such process.
    init?(pid: Int32) {
        var bytes = [UInt8](repeating: 0, count: 2048)
        let file = unsafe open("/proc/\(pid)/stat", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        let count = unsafe read(file, &bytes, bytes.count)
        close(file)
        guard count > 0 else { return nil }
        self.init(String(decoding: bytes[..<count], as: UTF8.self))
    }

    /// Reads a line. The name of the program may have spaces and parentheses.
    package init?(_ line: String) {
        guard let name = line.lastIndex(of: ")") else { return nil }
        fields = line[line.index(after: name)...].split(separator: " ")
    }

    /// Whether a signal such as SIGSTOP has stopped the process. One that a debugger has stopped is not meant.
    package var isStopped: Bool { fields.first == "T" }
}
