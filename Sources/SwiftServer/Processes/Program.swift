internal import CReactor
internal import CReactorInternal
internal import Glibc

/// The program that a reload starts: the path it had when the server started, with the file that is there now.
struct Program: Sendable {
    let path: String
    let arguments: [String]
    /// The working directory of the start; a server in the background has another one.
    private let directory: String

    /// Finds the program by its name: `/proc/self/exe` would stay the old file after it was replaced.
    init(path: String?) {
        arguments = CommandLine.arguments
        directory = Path.absolute(".")
        let name = path ?? arguments.first ?? ""
        self.path = name.contains("/") ? Path.absolute(name) : Program.inPath(name) ?? Program.own
    }

    private static var own: String {
        guard let path = unsafe realpath("/proc/self/exe", nil) else { return "" }
        defer { unsafe free(path) }
        return unsafe String(cString: path)
    }

    private static func inPath(_ name: String) -> String? {
        guard !name.isEmpty, let path = unsafe getenv("PATH") else { return nil }
        return unsafe String(cString: path).split(separator: ":").map { "\($0)/\(name)" }
            .first { unsafe access($0, X_OK) == 0 }.map(Path.absolute)
    }

    /// Executes the program in a forked child. Returns only when that fails.
    func execute(_ handover: Handover) -> Int32 {
        _ = unsafe chdir(directory)  // if it was removed, the new program has to cope with relative paths
        let argv = unsafe arguments.map { unsafe strdup($0) } + [nil]
        let keep = handover.descriptors
        return unsafe keep.withUnsafeBufferPointer { keep in
            unsafe cre_process_execute(path, argv, keep.baseAddress, keep.count, Handover.variable, handover.text)
        }
    }
}
