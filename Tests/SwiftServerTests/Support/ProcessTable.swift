import Foundation

/// What the system says about processes.
enum ProcessTable {
    struct Entry {
        let pid: Int32
        let parent: Int32
        let group: Int32
        let state: String
    }

    static func entry(_ pid: Int32) -> Entry? {
        guard let text = read("/proc/\(pid)/stat"), let end = text.lastIndex(of: ")") else { return nil }
        let words = text[text.index(after: end)...].split(separator: " ")
        guard words.count > 3, let parent = Int32(words[1]), let group = Int32(words[2]) else { return nil }
        return Entry(pid: pid, parent: parent, group: group, state: String(words[0]))
    }

    /// Those of a process group that still run: one that waits for its parent to notice its end does not.
    static func running(inGroup group: Int32) -> [Int32] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return names.compactMap { Int32($0) }.compactMap { entry($0) }
            .filter { $0.group == group && !["Z", "X"].contains($0.state) }.map(\.pid).sorted()
    }

    /// Children that have ended and were not waited for.
    static func zombies(of parent: Int32) -> [Int32] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        return names.compactMap { Int32($0) }.compactMap { entry($0) }
            .filter { $0.parent == parent && $0.state == "Z" }.map(\.pid)
    }

    static func isRunning(_ pid: Int32) -> Bool { entry(pid).map { !["Z", "X"].contains($0.state) } ?? false }

    /// As `ps` shows it.
    static func title(_ pid: Int32) -> String? {
        read("/proc/\(pid)/cmdline").map { String($0.prefix { $0 != "\0" }) }
    }

    /// Where a link of a process leads, like "cwd" or "fd/1".
    static func link(_ pid: Int32, _ name: String) -> String? {
        try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(pid)/\(name)")
    }

    /// What its descriptors lead to.
    static func files(_ pid: Int32) -> [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/fd")) ?? []
        return names.compactMap { link(pid, "fd/\($0)") }
    }

    /// A field of a process, its words one blank apart.
    static func status(_ pid: Int32, _ field: String) -> String? { status("/proc/\(pid)/status", field) }

    /// A field of each thread of a process.
    static func statusOfThreads(_ pid: Int32, _ field: String) -> [String] {
        let threads = (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task")) ?? []
        return threads.compactMap { status("/proc/\(pid)/task/\($0)/status", field) }
    }

    private static func status(_ path: String, _ field: String) -> String? {
        let line = read(path)?.split(separator: "\n").first { $0.hasPrefix("\(field):") }
        return line.map { $0.dropFirst(field.count + 1).split { $0 == "\t" || $0 == " " }.joined(separator: " ") }
    }

    static func threads(_ pid: Int32) -> Int {
        (try? FileManager.default.contentsOfDirectory(atPath: "/proc/\(pid)/task").count) ?? 0
    }

    static func residentPages(_ pid: Int32) -> Int {
        read("/proc/\(pid)/statm")?.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
    }

    /// The resident bytes of processes, of which those that they share count once.
    static func residentBytes(_ pids: [Int32]) -> Int {
        let kilobytes = pids.map { pid in
            status("/proc/\(pid)/smaps_rollup", "Pss").flatMap { Int($0.prefix { $0.isNumber }) } ?? 0
        }
        return kilobytes.reduce(0, +) * 1024
    }

    private static func read(_ path: String) -> String? {
        guard let data = FileManager.default.contents(atPath: path) else { return nil }
        return String(decoding: data, as: UTF8.self)
    }
}
