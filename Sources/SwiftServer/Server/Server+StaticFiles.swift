extension HTTPServer {
    /// Serves the files of a folder, on this port and on all other HTTP and WebSocket ports that serve no folders of
    /// their own.
    ///
    /// A request whose path begins with `path`, by whole segments, is answered with a file; see ``StaticFiles`` for
    /// what is sent, and for what happens when there is none. All other requests go to `onRequest`, or get status 404
    /// without it. Several folders can be served at different paths; the longest path that fits counts.
    ///
    /// - Parameters:
    ///   - path: begins with a slash; "/" serves everything.
    ///   - folder: the folder; a relative path is resolved against the working directory of this moment. With
    ///     ``Settings/chroot`` it is an absolute path beneath that root.
    public func files(at path: String, from folder: String) { files(at: path, from: StaticFiles(folder)) }

    /// Serves the files of a folder that is described in detail; see ``files(at:from:)-(_,String)``.
    public func files(at path: String, from folder: StaticFiles) {
        guard !ports[0].isRefused("a folder at \(path)") else { return }
        ports[0].staticFiles.add(path, folder)
    }
}

extension ServerPort {
    /// Serves the files of a folder on this `.http` or `.webSocket` port, in place of the server's; see
    /// ``HTTPServer/files(at:from:)-(_,String)``.
    public func files(at path: String, from folder: String) { files(at: path, from: StaticFiles(folder)) }

    /// Serves the files of a folder that is described in detail; see ``HTTPServer/files(at:from:)-(_,String)``.
    public func files(at path: String, from folder: StaticFiles) {
        guard !isRefused("a folder at \(path)") else { return }
        staticFiles.add(path, folder)
    }
}
