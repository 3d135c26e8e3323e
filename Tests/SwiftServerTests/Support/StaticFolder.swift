import Foundation
import Glibc

/// A folder for servers of files.
enum StaticFolder {
    static let text = String((0..<40).map { "line \($0)\n" }.joined())

    /// A folder "public" with files of all kinds, and things beside it that nobody may get.
    static func make() throws -> Folder {
        let folder = try Folder()
        for name in [
            "public", "public/inner", "public/empty", "public/assets", "public/.git", "public/.well-known",
        ] {
            try FileManager.default.createDirectory(atPath: folder.file(name), withIntermediateDirectories: true)
        }
        let files = [
            "secret": "secret", "public/index.html": "<h1>start</h1>", "public/inner/index.html": "inner",
            "public/a.txt": text, "public/style.css": "css", "public/assets/app.js": "js",
            "public/assets/none.txt": "none", "public/.git/config": "secret", "public/.well-known/a": "known",
            "public/a b<&>\"'.txt": "odd", "public/me.card": "card", "public/unknown": "unknown",
            "public/empty.txt": "",
        ]
        for (name, text) in files { folder.write(text, to: name) }
        for (name, target) in [
            ("inside", "inner/index.html"), ("outside", "../secret"), ("absolute", folder.file("secret")),
        ] { unsafe symlink(target, folder.file("public/" + name)) }
        return folder
    }
}
