import Foundation
import Glibc

/// A folder of its own for a test, which is removed with it.
final class Folder {
    let path: String

    init() throws {
        var name = Array("\(NSTemporaryDirectory())server-tests.XXXXXX".utf8CString)
        guard unsafe mkdtemp(&name) != nil else { throw SystemError("making a folder") }
        path = String(decoding: name.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String) -> String { path + "/" + name }

    /// The path of a file, relative to the working directory.
    func relative(_ name: String) -> String {
        let here = FileManager.default.currentDirectoryPath.split(separator: "/").count
        return String(repeating: "../", count: here) + file(name).dropFirst()
    }

    /// What is in a file; nothing when there is none.
    func text(_ name: String) -> String {
        String(decoding: FileManager.default.contents(atPath: file(name)) ?? Data(), as: UTF8.self)
    }

    func exists(_ name: String) -> Bool { FileManager.default.fileExists(atPath: file(name)) }

    func write(_ text: String, to name: String) {
        _ = FileManager.default.createFile(atPath: file(name), contents: Data(text.utf8))
    }

    /// Of a file, or with an empty name of the folder itself.
    func setMode(_ name: String, _ mode: UInt32) { unsafe chmod(file(name), mode) }

    func rename(_ name: String, to other: String) { unsafe Glibc.rename(file(name), file(other)) }
}
