// swift-tools-version: 6.2
import PackageDescription

/// Programs of one folder each; `./dev demo` lists what they show.
let demos = [
    "hello", "http-push", "http-push-object", "http-400", "server-dump", "straight-line", "straight-line-chat",
    "tcp-echo", "echo-client", "fetch", "slow-task", "process-names", "max-requests", "reload", "tick", "timers",
    "framing", "mail", "mail-client", "http", "rest", "chat-room", "token", "notifications", "cluster",
]

let server: Target.Dependency = .product(name: "SwiftServer", package: "SwiftServer")
let json: Target.Dependency = .product(name: "SwiftServerJSON", package: "SwiftServer")

/// `SWIFTSERVER_TRAITS=ISAL swift build …` builds them with this trait of the package, too.
let added: [Substring] = Context.environment["SWIFTSERVER_TRAITS"]?.split(separator: ",") ?? []
let traits: [Package.Dependency.Trait] = [.defaults] + added.map { .trait(name: String($0)) }

let package = Package(
    name: "Examples",
    dependencies: [.package(name: "SwiftServer", path: "..", traits: Set(traits))],
    targets: [
        .executableTarget(name: "echo", dependencies: [server], path: "echo"),
        .executableTarget(name: "tcp", dependencies: [server], path: "tcp"),
        .executableTarget(name: "client", dependencies: [server], path: "client"),
        .executableTarget(name: "chat", dependencies: [server], path: "chat"),
    ]
        + [.target(name: "Tokens", path: "demos/Tokens")]
        + demos.map { name in
            .executableTarget(
                name: name,
                dependencies: name == "token" || name == "notifications" ? [json, "Tokens"] : [server, json],
                path: "demos/\(name)",
                exclude: name == "http" ? ["nginx.conf"] : [], swiftSettings: [.defaultIsolation(MainActor.self)])
        },
    swiftLanguageModes: [.v6]
)
