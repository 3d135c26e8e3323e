internal import CReactor
internal import Glibc

/// A file beneath a folder as the process that owns the connection gets it: it opens the file under the same rules.
struct FolderFile {
    /// A part of the body: a text, and then a part of the file.
    struct Part {
        let text: String
        let range: Range<UInt64>
    }

    let folder: String
    let path: String
    /// The state in which the file was found.
    let info: cre_file_info
    let symlinks: StaticFiles.Symlinks
    let entityTags: StaticFiles.EntityTags
    let sendsLastModified: Bool
    /// Empty: the whole file, in whatever state it is opened. Otherwise only in this one.
    var parts: [Part] = []
    /// The file, if it was kept open.
    var open: OpenFile?

    /// The file as the payload of its command, behind the fields.
    var description: [UInt8] {
        var validators: UInt32 = sendsLastModified ? CRE_FILE_LAST_MODIFIED : 0
        switch entityTags {
        case .strong: validators |= CRE_FILE_ETAG
        case .weak: validators |= CRE_FILE_WEAK_ETAG
        case .none: break
        }
        let head = cre_folder_file(
            info: info, text_length: UInt32(parts.reduce(0) { $0 + $1.text.utf8.count }),
            folder_length: UInt16(folder.utf8.count), part_count: UInt16(parts.count),
            symlinks: UInt8(symlinks.core.rawValue), validators: UInt8(validators), reserved: (0, 0, 0))
        var bytes: [UInt8] = []
        unsafe withUnsafeBytes(of: head) { unsafe bytes.append(contentsOf: $0) }
        for part in parts {
            let range = cre_file_range(offset: part.range.lowerBound, length: UInt64(part.range.count))
            let entry = cre_file_part(range: range, text_length: UInt32(part.text.utf8.count), reserved: 0)
            unsafe withUnsafeBytes(of: entry) { unsafe bytes.append(contentsOf: $0) }
        }
        for part in parts { bytes += part.text.utf8 }
        return bytes + folder.utf8 + path.utf8
    }

    /// The length of the body.
    var length: UInt64 {
        if parts.isEmpty { return info.size }
        return parts.reduce(0) { $0 + UInt64($1.range.count) + UInt64($1.text.utf8.count) }
    }

    /// The entity tag as it is sent; `nil`: none.
    var entityTag: String? {
        guard entityTags != .none else { return nil }
        var info = info
        return unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(CRE_FILE_ETAG_MAX)) {
            let length = unsafe cre_file_etag($0.baseAddress, &info, entityTags == .weak)
            return unsafe String(
                decoding: UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer($0)[..<length]), as: UTF8.self)
        }
    }

    /// The time of the last change as it is sent, in seconds since 1970: none of the future.
    var lastModified: Int64? { sendsLastModified ? min(info.modified, Int64(time(nil))) : nil }
}

/// An open file. It is closed with the last reference, unless somebody takes it.
final class OpenFile {
    private var descriptor: Int32

    init(_ descriptor: Int32) { self.descriptor = descriptor }

    deinit { if descriptor >= 0 { Glibc.close(descriptor) } }

    /// Returns the descriptor, which the caller closes.
    func take() -> Int32 {
        defer { descriptor = -1 }
        return descriptor
    }
}

/// What there is beneath a folder.
enum FolderEntry {
    /// A file, which is open if it was to be kept so.
    case file(cre_file_info, OpenFile?)
    case folder
    /// It does not exist, or must not be seen.
    case missing
    /// It cannot be opened: a negative error.
    case failed(Int32)

    /// Opens the path under the rules of its folder. `keepsOpen`: a file is not closed again.
    init(_ files: StaticFiles, _ path: String, keepsOpen: Bool) {
        var info = cre_file_info()
        let descriptor = unsafe cre_file_open(files.folder, path.isEmpty ? "." : path, files.symlinks.core, &info)
        guard descriptor >= 0 else {
            switch descriptor {
            case -ENOENT, -ENOTDIR, -ENAMETOOLONG, -ELOOP, -EXDEV, CRE_EINVALID.rawValue: self = .missing
            default: self = .failed(descriptor)
            }
            return
        }
        if keepsOpen, !info.is_folder {
            self = .file(info, OpenFile(descriptor))
        } else {
            Glibc.close(descriptor)
            self = info.is_folder ? .folder : .file(info, nil)
        }
    }
}
