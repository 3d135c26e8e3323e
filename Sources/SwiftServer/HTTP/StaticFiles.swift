internal import CReactor
internal import Glibc

/// A folder whose files are sent to clients.
///
/// ```swift
/// server.files(at: "/static", from: "public")
///
/// var assets = StaticFiles("dist")
/// assets.precompressed = [.brotli, .gzip]
/// assets.cache("assets/*", .immutable)
/// server.files(at: "/", from: assets)
/// ```
///
/// Files are sent with their media type, `ETag` and `Last-Modified`; conditional requests, ranges and HEAD are answered
/// as RFC 9110 has it. The process that owns the connection opens and sends them. A path of a folder is redirected to
/// the same path with a slash, which gives its ``index`` file. What does not exist, or must not be seen, gets status
/// 404, another method than GET, HEAD and OPTIONS status 405.
public struct StaticFiles: Sendable {
    /// The treatment of symbolic links beneath the folder. It is applied while a file is opened, so nobody can swap a
    /// file for a link in between. The path of the folder itself may have links.
    public enum Symlinks: Sendable, Hashable {
        /// Relative links to places beneath the folder are followed, others refused. Before Linux 5.6 all are refused.
        case insideFolder
        /// All are refused.
        case refused
        /// All are followed, to any place: everyone who may create links in the folder can publish any file that the
        /// server may read.
        case followed

        var core: cre_symlinks {
            switch self {
            case .insideFolder: CRE_SYMLINKS_BENEATH
            case .refused: CRE_SYMLINKS_REFUSED
            case .followed: CRE_SYMLINKS_FOLLOWED
            }
        }
    }

    /// The kind of entity tags.
    public enum EntityTags: Sendable, Hashable {
        /// For files that are replaced, or whose changes have different times in the file system.
        case strong
        /// For files that may change twice within one tick of that clock. Ranges are not continued then.
        case weak
        /// None.
        case none
    }

    /// The folder, as an absolute path.
    public let folder: String
    /// The name of the file that stands for its folder. Default: "index.html"; `nil`: none.
    public var index: String? = "index.html"
    /// The treatment of symbolic links. Default: ``Symlinks/insideFolder``.
    public var symlinks = Symlinks.insideFolder
    /// Serve files and folders whose name begins with a dot, such as ".git". Default: false; a folder ".well-known" at
    /// the top is served in any case.
    public var servesDotFiles = false
    /// Answer the path of a folder without an index file with a page that lists its files. Default: false.
    public var listsFolders = false
    /// The entity tags, made of size, time and inode. Default: ``EntityTags/strong``.
    public var entityTags = EntityTags.strong
    /// Send `Last-Modified`. Default: true.
    public var sendsLastModified = true
    /// The most ranges of one request, at most 64; a request for more gets the whole file. 0: no ranges. Default: 16.
    public var maxRanges = 16
    /// Codings for which a compressed file may stand beside the original: "app.js.br", "app.js.zst", "app.js.gz" beside
    /// "app.js", in the order of the server's preference. The client gets the one that it likes best, unless it is
    /// older than the original. Default: none.
    public var precompressed: [ContentCoding] = []
    /// Media types by the end of a name, without its dot and in lower case: `types["webc"] = "text/html"`. They precede
    /// the usual ones.
    public var types: [String: String] = [:]
    /// The media type of files whose name ends in nothing known. Default: "application/octet-stream".
    public var defaultType = "application/octet-stream"
    /// Hand requests for what does not exist, and those with another method, on to `onRequest` instead of answering
    /// them with 404 and 405. Default: false.
    public var passesMissing = false

    /// Rules for `Cache-Control`; the first that gives a value applies.
    private var cacheRules: [@Sendable (String) -> CacheControl?] = []

    /// Describes a folder. A relative path is resolved against the working directory of this moment.
    public init(_ folder: String) {
        var path = Path.absolute(folder)
        while path.utf8.count > 1, path.utf8.last == UInt8(ascii: "/") { path.removeLast() }
        self.folder = path
    }

    /// Adds a rule for files whose path beneath the folder matches a pattern: "*" is any text, also with slashes, "?"
    /// one character, "[a-z]" one of a set. The first rule that matches applies; without one no `Cache-Control` is
    /// sent.
    public mutating func cache(_ pattern: String, _ rule: CacheControl) {
        cacheRules.append { unsafe fnmatch(pattern, $0, 0) == 0 ? rule : nil }
    }

    /// Adds a rule that is a function of the file's path beneath the folder, such as "assets/app.js".
    public mutating func cache(_ rule: @escaping @Sendable (String) -> CacheControl?) { cacheRules.append(rule) }

    func cacheControl(_ path: String) -> CacheControl? {
        for rule in cacheRules {
            if let found = rule(path) { return found }
        }
        return nil
    }

    /// The media type of a file.
    func type(of path: String) -> String {
        guard let suffix = FolderPath.suffix(of: path) else { return defaultType }
        return types[suffix] ?? MediaTypes.type(suffix) ?? defaultType
    }

    /// What is wrong with this description; `nil`: nothing.
    var problem: String? {
        if folder.utf8.count > Int(CRE_MAX_PATH) || folder.utf8.contains(0) {
            return "the path of the folder must have at most \(CRE_MAX_PATH) bytes and no NUL"
        }
        if !(0...StaticFiles.mostRanges).contains(maxRanges) {
            return "maxRanges must be 0...\(StaticFiles.mostRanges), got \(maxRanges)"
        }
        if let index, index.isEmpty || index.utf8.contains(UInt8(ascii: "/")) || index.utf8.contains(0) {
            return "index must be the name of a file, got \"\(index)\""
        }
        return nil
    }

    static let mostRanges = 64
}
