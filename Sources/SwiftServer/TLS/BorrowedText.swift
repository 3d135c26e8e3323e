internal import CReactor

/// Copies that live for the duration of one call.
@unsafe final class BorrowedText {
    private var blocks: [UnsafeMutableRawPointer] = unsafe []

    func string(_ text: String) -> UnsafePointer<CChar> {
        let bytes = unsafe copy(Array(text.utf8) + [0])
        return unsafe UnsafePointer(bytes.assumingMemoryBound(to: CChar.self))
    }

    func source(_ source: TLSConfiguration.Source) -> cre_tls_source {
        switch source {
        case .file(let name): unsafe cre_tls_source(file: string(name), pem: nil, length: 0)
        case .pem(let bytes): unsafe cre_tls_source(file: nil, pem: copy(bytes), length: bytes.count)
        }
    }

    func field(_ name: String, _ value: String) -> cre_http_header {
        unsafe cre_http_header(
            name: string(name), value: string(value), name_length: UInt32(name.utf8.count),
            value_length: UInt32(value.utf8.count))
    }

    private func copy(_ bytes: [UInt8]) -> UnsafeMutableRawPointer {
        let block = UnsafeMutableRawPointer.allocate(byteCount: max(1, bytes.count), alignment: 1)
        unsafe block.copyMemory(from: bytes, byteCount: bytes.count)
        unsafe blocks.append(block)
        return unsafe block
    }

    func release() {
        for index in unsafe blocks.indices { unsafe blocks[index].deallocate() }
    }
}
