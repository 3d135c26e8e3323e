import Foundation

/// The limit of open files of a running process.
enum DescriptorLimit {
    /// Lowers the limit until the process can open nothing more. What is open stays open.
    static func exhaust(_ pid: Int32) throws {
        let names = try FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/fd")
        let open = Set(names.compactMap { Int($0) })
        try set(pid, (0...).first { !open.contains($0) } ?? 0)
    }

    static func raise(_ pid: Int32) throws { try set(pid, 1000) }

    /// By a program, as the C library does not declare the function for Swift.
    private static func set(_ pid: Int32, _ value: Int) throws {
        let program = Process()
        program.executableURL = URL(fileURLWithPath: "/usr/bin/prlimit")
        program.arguments = ["--pid", "\(pid)", "--nofile=\(value):"]
        try program.run()
        program.waitUntilExit()
        guard program.terminationStatus == 0 else { throw SystemError("setting the limit", program.terminationStatus) }
    }
}
