import Testing

@testable import SwiftServer

@Suite struct ResponseCompressionTests {
    @Test func types() {
        let compression = ResponseCompression()
        for type in [
            "text/plain", "TEXT/HTML; charset=utf-8", "application/json ;a=b", "image/svg+xml", "application/x+json",
            "text/event-stream",
        ] { #expect(compression.hasType(type), "\(type)") }
        for type in ["image/png", "application/zip", "text", "", "application/json2", "video/mp4"] {
            #expect(!compression.hasType(type), "\(type)")
        }
        var all = compression
        all.types = ["*"]
        #expect(all.hasType("image/png"))
    }

    private func error(_ change: (inout ResponseCompression) -> Void) -> String? {
        var compression = ResponseCompression()
        compression.codings = []
        change(&compression)
        do throws(ServerError) {
            try compression.check("compressResponses")
            return nil
        } catch { return error.message }
    }

    @Test func mistakes() {
        #expect(error { _ in } == nil)
        #expect(error { $0.threshold = -1 } == "compressResponses.threshold must be 0 bytes to 256 MiB, got -1")
        #expect(error { $0.gzipLevel = 0 } == "compressResponses.gzipLevel must be 1...9, got 0")
        #expect(error { $0.brotliLevel = 12 } == "compressResponses.brotliLevel must be 1...11, got 12")
        #expect(error { $0.zstandardLevel = 20 } == "compressResponses.zstandardLevel must be 1...19, got 20")
        #expect(error { $0.maxOpen = 0 } == "compressResponses.maxOpen must be 1...65,536, got 0")
        for coding in ContentCoding.allCases {
            let message = error { $0.codings = [coding] }
            #expect((message == nil) == coding.isSupported)
            if let message {
                #expect(message.contains("traits Deflate (gzip), Brotli and Zstd, got \(coding.rawValue)"))
            }
        }
    }
}
