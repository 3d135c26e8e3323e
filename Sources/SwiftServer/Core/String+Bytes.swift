extension String {
    /// Calls `body` with the bytes of the text, valid there only. Unlike `withUTF8` it neither changes nor counts the
    /// string.
    @inline(__always) func withBytes<Result>(_ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        let result = unsafe utf8.withContiguousStorageIfAvailable { unsafe body(UnsafeRawBufferPointer($0)) }
        guard let result else { preconditionFailure("strings on Linux are contiguous UTF-8") }
        return result
    }
}
