import Testing

@testable import SwiftServer

@Suite struct JSONValueTests {
    private static func value(_ text: String) -> JSONValue? { JSONValue(Array(text.utf8)) }

    @Test func values() {
        #expect(
            JSONValueTests.value(" {\"a\" : [1, -2.5e+1, 0, \"x\", true, false, null, {}, []]}\r\n\t")
                == .object([
                    "a": .array([
                        .number(1), .number(-25), .number(0), .string("x"), .bool(true), .bool(false), .null,
                        .object([:]),
                        .array([]),
                    ])
                ]))
        #expect(
            JSONValueTests.value("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00é\"")
                == .string("\"\\/\u{8}\u{C}\n\r\té😀é"))
        #expect(JSONValueTests.value("1E2") == .number(100))
    }

    @Test(arguments: [
        "", " ", "{", "}", "[", "[1", "[1,", "[1,]", "[,1]", "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "{a:1}",
        "{\"a\":1 \"b\":2}",
        "{\"a\":1,\"a\":1}", "{\"a\":1,\"\\u0061\":1}", "[{\"a\":1,\"a\":2}]", "1 2", "01", "1.", ".5", "-", "+1", "1e",
        "1e+",
        "1e999", "-1e999", "NaN", "tru", "truex", "'a'", "\"a", "\"\\x\"", "\"\\u12\"", "\"\\u+123\"", "\"\\ud800\"",
        "\"\\ud800x\"", "\"\\ud800\\u0041\"", "\"\\udc00\"", "\"\n\"", "\"\u{1}\"", "\u{FEFF}1", "1\u{0}",
    ])
    func malformedTexts(_ text: String) { #expect(JSONValueTests.value(text) == nil) }

    @Test func limits() {
        let nested = { (levels: Int) in
            String(repeating: "[", count: levels) + String(repeating: "]", count: levels)
        }
        #expect(JSONValueTests.value(nested(17)) != nil)
        #expect(JSONValueTests.value(nested(18)) == nil)
        #expect(JSONValueTests.value(nested(100_000)) == nil)
        #expect(JSONValue([0x22, 0xFF, 0x22]) == nil)
        #expect(JSONValue([0x22, 0xC0, 0x80, 0x22]) == nil)
        #expect(JSONValue([0x22, 0xED, 0xA0, 0x80, 0x22]) == nil)
    }

    /// Whatever the bytes are, the reader ends.
    @Test func damagedTexts() {
        let text = Array("{\"a\":[1,-2.5e3,\"\\u00e9\\ud83d\\ude00\",true,null],\"b\":{\"c\":\"d\"}}".utf8)
        #expect(JSONValue(text) != nil)
        for length in text.indices { #expect(JSONValue(Array(text[..<length])) == nil) }
        for place in text.indices {
            for byte in [0x00, 0x20, 0x22, 0x2C, 0x2E, 0x30, 0x5B, 0x5C, 0x5D, 0x65, 0x75, 0x7B, 0x7D, 0xC3, 0xFF]
                as [UInt8]
            {
                var damaged = text
                damaged[place] = byte
                _ = JSONValue(damaged)
            }
        }
    }

    @Test func base64() {
        #expect(Base64.decodeURL("".utf8) == [])
        #expect(Base64.decodeURL("-_8".utf8) == [0xFB, 0xFF])
        #expect(Base64.decode("Zm9vYg==".utf8) == Array("foob".utf8))
        #expect(Base64.decode("Zm9v".utf8) == Array("foo".utf8))
        for text in ["A", "AAAAA", "AB", "AAB", "A=", "AA==", "+/8", "A A", "Aé", "A\n"] {
            #expect(Base64.decodeURL(text.utf8) == nil, "\(text)")
        }
        for text in ["Zm9vYg", "Zm9vYh==", "Zm9=", "====", "=", "Zg=v", "Z===", "-_8=", "Zm9v\n"] {
            #expect(Base64.decode(text.utf8) == nil, "\(text)")
        }
    }
}
