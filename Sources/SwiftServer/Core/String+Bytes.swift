extension String {
    /// Calls `body` with the bytes of the text, valid there only. Unlike `withUTF8` it neither changes nor counts the
    /// string, unless that is one of another representation.
    @inline(__always) func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        if let result = unsafe utf8.withContiguousStorageIfAvailable({ unsafe body(UnsafeRawBufferPointer($0)) }) {
            return result
        }
        var text = self
        return text.withUTF8 { unsafe body(UnsafeRawBufferPointer($0)) }
    }
}
