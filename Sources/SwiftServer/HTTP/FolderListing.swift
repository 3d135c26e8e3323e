internal import CReactor
internal import Glibc

/// Pages that list the files of a folder.
extension StaticFiles {
    /// The most entries of a page.
    private static let mostListed = 10_000

    private struct Entry {
        let name: String
        /// The name as the system has it.
        let bytes: [UInt8]
        let isFolder: Bool
        let size: UInt64
        let modified: Int64
    }

    /// Answers with a list of the folder. Returns false, with nothing sent, when it cannot be read.
    @MainActor func list(_ path: FolderPath, _ response: Response) -> Bool {
        guard let (entries, isWhole) = entries(path) else { return false }
        let title = Escaped.html("/" + path.text)
        var page = "<!doctype html><meta charset=utf-8><title>\(title)</title><h1>\(title)</h1><table>\n"
        if !path.text.isEmpty { page += "<tr><td><a href=\"../\">../</a>\n" }
        for entry in entries {
            let slash = entry.isFolder ? "/" : ""
            page +=
                "<tr><td><a href=\"./\(Escaped.path(entry.bytes))\(slash)\">\(Escaped.html(entry.name))\(slash)</a>"
                + "<td>\(entry.isFolder ? "" : "\(entry.size)")<td>\(HTTPDate.text(entry.modified))\n"
        }
        page += "</table>\n"
        if !isWhole { page += "<p>The first \(StaticFiles.mostListed) entries.\n" }
        response.status(200)
        response.header("Content-Type", "text/html; charset=utf-8")
        response.header("Content-Security-Policy", "default-src 'none'")
        response.end(page)
        return true
    }

    /// The entries that a client may open, folders first, and whether these are all.
    private func entries(_ path: FolderPath) -> (entries: [Entry], isWhole: Bool)? {
        var info = cre_file_info()
        let descriptor = unsafe cre_file_open(folder, path.text.isEmpty ? "." : path.text, symlinks.core, &info)
        guard descriptor >= 0 else { return nil }
        guard info.is_folder, let stream = unsafe fdopendir(descriptor) else {
            Glibc.close(descriptor)
            return nil
        }
        defer { unsafe closedir(stream) }
        var found: [Entry] = []
        while let next = unsafe readdir(stream) {
            let bytes = unsafe StaticFiles.name(next)
            guard bytes.first != UInt8(ascii: ".") || servesDotFiles && bytes != [0x2E] && bytes != [0x2E, 0x2E] else {
                continue
            }
            guard found.count < StaticFiles.mostListed else { return (StaticFiles.sorted(found), false) }
            // A name that is no UTF-8 cannot be asked for.
            guard let name = String(validating: bytes, as: UTF8.self) else { continue }
            var info = cre_file_info()
            // Opened, so that links are listed only if they are followed.
            let entry = unsafe cre_file_open(folder, path.file(name), symlinks.core, &info)
            guard entry >= 0 else { continue }
            Glibc.close(entry)
            found.append(
                Entry(name: name, bytes: bytes, isFolder: info.is_folder, size: info.size, modified: info.modified))
        }
        return (StaticFiles.sorted(found), true)
    }

    private static func sorted(_ entries: [Entry]) -> [Entry] {
        entries.sorted { ($0.isFolder ? 0 : 1, $0.name) < ($1.isFolder ? 0 : 1, $1.name) }
    }

    private static func name(_ entry: UnsafeMutablePointer<dirent>) -> [UInt8] {
        let offset = MemoryLayout<dirent>.offset(of: \.d_name) ?? 0
        let start = unsafe UnsafeRawPointer(entry) + offset
        return unsafe [UInt8](
            UnsafeRawBufferPointer(start: start, count: strlen(start.assumingMemoryBound(to: CChar.self))))
    }
}
