// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .strictMemorySafety(),
]

// Public types must say whether they are Sendable. Release builds may inline across modules, which is what lets
// a dependent call straight into the C core, and do without the checks that closures of the main actor run on it,
// of which a request would cost several: debug builds have them.
let library: [SwiftSetting] = [
    .unsafeFlags(["-Xfrontend", "-require-explicit-sendable"]),
    .unsafeFlags(
        ["-cross-module-optimization", "-Xfrontend", "-disable-dynamic-actor-isolation"],
        .when(configuration: .release)),
]

// Bridges to packages that others share, each behind a trait of its own. While a trait is off, its package is not
// fetched. Documentation that a package index builds has them all.
let bridges = ["HTTPTypes", "Logging", "Metrics", "ServiceLifecycle", "Tracing"]
let documented = Context.environment["SPI_GENERATE_DOCS"] != nil

let package = Package(
    name: "SwiftServer",
    products: [
        .library(name: "SwiftServer", targets: ["SwiftServer"]),
        .library(name: "SwiftServerJSON", targets: ["SwiftServerJSON"]),
        .library(name: "SwiftServerTesting", targets: ["SwiftServerTesting"]),
        .library(name: "SwiftServerHTTPTypes", targets: ["SwiftServerHTTPTypes"]),
        .library(name: "SwiftServerLifecycle", targets: ["SwiftServerLifecycle"]),
        .library(name: "SwiftServerLogging", targets: ["SwiftServerLogging"]),
        .library(name: "SwiftServerMetrics", targets: ["SwiftServerMetrics"]),
        .library(name: "SwiftServerTracing", targets: ["SwiftServerTracing"]),
        .library(name: "CReactor", targets: ["CReactor"]),
        .executable(name: "swiftserver", targets: ["SwiftServerTool"]),
    ],
    traits: [
        .trait(name: "Brotli", description: "Bodies compressed with Brotli (libbrotli-dev)"),
        .trait(
            name: "Deflate",
            description: "Compressed WebSocket messages, and responses compressed with gzip, through zlib (zlib1g-dev)"),
        .trait(name: "HTTP2", description: "HTTP/2 through nghttp2 (libnghttp2-dev)"),
        .trait(
            name: "ISAL",
            description: "WebSocket compression without context takeover by ISA-L: faster, x86-64 (libisal-dev)"),
        .trait(name: "TLS", description: "https and wss through OpenSSL 3 (libssl-dev)"),
        .trait(
            name: "HTTPTypes", description: "SwiftServerHTTPTypes: requests and responses as types of swift-http-types"),
        .trait(name: "Logging", description: "SwiftServerLogging: the log to and from swift-log"),
        .trait(name: "Metrics", description: "SwiftServerMetrics: statistics as metrics of swift-metrics"),
        .trait(name: "ServiceLifecycle", description: "SwiftServerLifecycle: a server as a service of a group"),
        .trait(name: "Tracing", description: "SwiftServerTracing: a span of swift-distributed-tracing per request"),
        .trait(name: "USDT", description: "Probes for bpftrace, perf and gdb in CReactor (systemtap-sdt-dev)"),
        .trait(name: "Zstd", description: "Responses compressed with Zstandard (libzstd-dev)"),
        .default(enabledTraits: Set(["Deflate", "HTTP2", "TLS"] + (documented ? bridges : []))),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-distributed-tracing.git", from: "1.3.0"),
        .package(url: "https://github.com/apple/swift-http-types.git", from: "1.4.0"),
        .package(url: "https://github.com/apple/swift-log.git", from: "1.12.0"),
        .package(url: "https://github.com/apple/swift-metrics.git", from: "2.5.0"),
        .package(url: "https://github.com/swift-server/swift-service-lifecycle.git", from: "2.8.0"),
    ],
    targets: [
        .systemLibrary(
            name: "CLibUV",
            pkgConfig: "libuv",
            providers: [.apt(["libuv1-dev"]), .brew(["libuv"])]
        ),
        .systemLibrary(
            name: "CZlib",
            pkgConfig: "zlib",
            providers: [.apt(["zlib1g-dev"]), .brew(["zlib"])]
        ),
        .systemLibrary(
            name: "CBrotli",
            pkgConfig: "libbrotlienc",
            providers: [.apt(["libbrotli-dev"]), .brew(["brotli"])]
        ),
        .systemLibrary(
            name: "CZstd",
            pkgConfig: "libzstd",
            providers: [.apt(["libzstd-dev"]), .brew(["zstd"])]
        ),
        .systemLibrary(
            name: "CISAL",
            pkgConfig: "libisal",
            providers: [.apt(["libisal-dev"]), .brew(["isa-l"])]
        ),
        .systemLibrary(
            name: "CNGHTTP2",
            pkgConfig: "libnghttp2",
            providers: [.apt(["libnghttp2-dev"]), .brew(["nghttp2"])]
        ),
        .systemLibrary(
            name: "COpenSSL",
            pkgConfig: "openssl",
            providers: [.apt(["libssl-dev"]), .brew(["openssl@3"])]
        ),
        // Rooted at the package itself so that the public headers exist once, in include/. Two rules follow: only C
        // sources and headers in Sources/CReactor, and build folders nowhere but under .build/.
        .target(
            name: "CReactor",
            dependencies: [
                "CLibUV",
                .target(name: "CZlib", condition: .when(traits: ["Deflate"])),
                .target(name: "CBrotli", condition: .when(traits: ["Brotli"])),
                .target(name: "CZstd", condition: .when(traits: ["Zstd"])),
                .target(name: "CISAL", condition: .when(traits: ["ISAL"])),
                .target(name: "CNGHTTP2", condition: .when(traits: ["HTTP2"])),
                .target(name: "COpenSSL", condition: .when(traits: ["TLS"])),
            ],
            path: ".",
            sources: ["Sources/CReactor"],
            publicHeadersPath: "include",
            cSettings: [
                .headerSearchPath("Sources/CReactor"),
                .define("_GNU_SOURCE"),
                .define("CRE_HAVE_DEFLATE", .when(traits: ["Deflate"])),
                .define("CRE_HAVE_BROTLI", .when(traits: ["Brotli"])),
                .define("CRE_HAVE_ZSTD", .when(traits: ["Zstd"])),
                .define("CRE_HAVE_ISAL", .when(traits: ["ISAL"])),
                .define("CRE_HAVE_HTTP2", .when(traits: ["HTTP2"])),
                .define("CRE_HAVE_TLS", .when(traits: ["TLS"])),
                .define("CRE_HAVE_USDT", .when(traits: ["USDT"])),
                .define("NDEBUG", .when(configuration: .release)),
                .unsafeFlags(["-O3"], .when(configuration: .release)),
            ]
        ),
        // The Swift runtime's hooks that make a loop the main actor's executor.
        .target(name: "CExecutorHook"),
        // The page of the monitoring port, embedded by the compiler.
        .target(name: "CDashboard", exclude: ["dashboard.html"]),
        .target(
            name: "SwiftServer",
            dependencies: ["CReactor", "CExecutorHook", "CDashboard"],
            swiftSettings: strict + library
        ),
        // Codable values. It is the only part of the library that uses Foundation.
        .target(
            name: "SwiftServerJSON",
            dependencies: ["SwiftServer"],
            swiftSettings: strict + library
        ),
        // Servers in tests, and clients that send anything.
        .target(
            name: "SwiftServerTesting",
            dependencies: ["SwiftServer"],
            swiftSettings: strict + library
        ),
        // The program that watches and steers a running server. Packages that use the library do not build it.
        .executableTarget(
            name: "SwiftServerTool",
            dependencies: ["SwiftServer"],
            swiftSettings: strict
        ),
        bridge("SwiftServerHTTPTypes", to: "HTTPTypes", of: "swift-http-types", trait: "HTTPTypes"),
        bridge(
            "SwiftServerLifecycle", to: "ServiceLifecycle", of: "swift-service-lifecycle", trait: "ServiceLifecycle"),
        bridge("SwiftServerLogging", to: "Logging", of: "swift-log", trait: "Logging"),
        bridge("SwiftServerMetrics", to: "Metrics", of: "swift-metrics", trait: "Metrics"),
        bridge("SwiftServerTracing", to: "Tracing", of: "swift-distributed-tracing", trait: "Tracing"),
        // What the tests and the servers that they start have in common: settings, commands, answers and events.
        .target(
            name: "TestProtocol",
            dependencies: ["SwiftServer"],
            path: "Tests/Support/TestProtocol",
            swiftSettings: strict
        ),
        // The server that the tests start as a process of its own and talk to.
        .executableTarget(
            name: "test-server",
            dependencies: ["SwiftServer", "SwiftServerJSON", "CReactor", "TestProtocol"],
            path: "Tests/Fixtures/test-server",
            swiftSettings: strict
        ),
        // Servers in programs that await something before or after the server runs.
        .executableTarget(
            name: "async-main",
            dependencies: ["SwiftServer", "TestProtocol"],
            path: "Tests/Fixtures/async-main",
            swiftSettings: strict
        ),
        .executableTarget(
            name: "top-level-await",
            dependencies: ["SwiftServer", "TestProtocol"],
            path: "Tests/Fixtures/top-level-await",
            swiftSettings: strict
        ),
        // Timers in a program without a server.
        .executableTarget(
            name: "timer-script",
            dependencies: ["SwiftServer"],
            path: "Tests/Fixtures/timer-script",
            swiftSettings: strict
        ),
        .testTarget(
            name: "SwiftServerTests",
            dependencies: [
                "SwiftServer", "SwiftServerJSON", "SwiftServerTesting", "CReactor", "TestProtocol", "test-server",
                "async-main",
                "top-level-await", "timer-script", "SwiftServerTool", "CDashboard",
            ],
            swiftSettings: strict
        ),
        // Programs as a newcomer writes them: with the settings of a new package, and with default isolation.
        .target(
            name: "NewcomerSupport",
            dependencies: ["SwiftServer", "SwiftServerTesting"],
            path: "Tests/Support/NewcomerSupport",
            swiftSettings: strict
        ),
        .testTarget(
            name: "NewcomerPrograms",
            dependencies: ["SwiftServer", "NewcomerSupport"],
            path: "Tests/NewcomerPrograms/Plain"
        ),
        .testTarget(
            name: "NewcomerProgramsMainActor",
            dependencies: ["SwiftServer", "NewcomerSupport"],
            path: "Tests/NewcomerPrograms/MainActor",
            swiftSettings: [.defaultIsolation(MainActor.self)]
        ),
    ],
    swiftLanguageModes: [.v6],
    cLanguageStandard: .gnu11
)

/// A target that is empty while its trait is off.
func bridge(_ name: String, to product: String, of package: String, trait: String) -> Target {
    .target(
        name: name,
        dependencies: [
            "SwiftServer", .product(name: product, package: package, condition: .when(traits: [trait])),
        ],
        swiftSettings: strict + library)
}
