// swift-tools-version: 6.2

import PackageDescription

/// Every target builds under the same rules: unsafe code is marked, imports are minimal, a warning is an error.
let strict: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .strictMemorySafety(),
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
]

let package = Package(
  name: "xive",
  products: [
    .executable(name: "xive", targets: ["xive"]),
    .library(name: "XIVEModel", targets: ["XIVEModel"]),
    .library(name: "XIVEDevice", targets: ["XIVEDevice"]),
    .library(name: "DeviceFile", targets: ["PagedDevice", "DeviceFile", "SystemCalls"]),
    .library(
      name: "XIVEClient", targets: ["DeviceClient", "XIVEClient", "XIVEModel", "SystemCalls"]),
    .library(name: "XIVETrace", targets: ["TraceRecords", "XIVETrace"]),
    // The client for C: Sources/CXIVE/include/xive_client.h.
    .library(name: "xive-client", type: .dynamic, targets: ["XIVEClient"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.5.0"),
    .package(url: "https://github.com/apple/swift-log", from: "1.6.0"),
    .package(url: "https://github.com/apple/swift-system", from: "1.4.0"),
  ],
  targets: [
    // C: the ABI, what Swift cannot import of the system, what it cannot measure, libfuse, zlib, elfutils.
    .target(name: "CXIVE"),
    .target(name: "CSystemCalls"),
    // Instructions that touch a trapped window; decoded by libzydis.
    .target(name: "CTrap", dependencies: ["CXIVE"], linkerSettings: [.linkedLibrary("Zydis")]),
    .target(
      name: "CHarness", dependencies: ["CTrap", "CXIVE"], cSettings: [.define("_GNU_SOURCE")]),
    .target(name: "CBench", cSettings: [.define("_GNU_SOURCE")]),
    .systemLibrary(name: "CFuse3", pkgConfig: "fuse3", providers: [.apt(["libfuse3-dev"])]),
    .systemLibrary(name: "CZlib", pkgConfig: "zlib", providers: [.apt(["zlib1g-dev"])]),
    .systemLibrary(name: "CElfutils", pkgConfig: "libdw", providers: [.apt(["libdw-dev"])]),

    // The controller: pure, then its pages.
    .target(name: "XIVEModel", swiftSettings: strict),
    .target(name: "PagedDevice", swiftSettings: strict),
    .target(
      name: "TraceRecords", dependencies: ["XIVEModel", "CXIVE", "CSystemCalls"],
      swiftSettings: strict),
    .target(
      name: "XIVEDevice", dependencies: ["XIVEModel", "PagedDevice", "TraceRecords", "CXIVE"],
      swiftSettings: strict),

    // The file that serves any paged device.
    .target(
      name: "SystemCalls",
      dependencies: ["CSystemCalls", .product(name: "SystemPackage", package: "swift-system")],
      swiftSettings: strict),
    .target(
      name: "DeviceFile",
      dependencies: [
        "CFuse3", "PagedDevice", "SystemCalls", .product(name: "Logging", package: "swift-log"),
        .product(name: "SystemPackage", package: "swift-system"),
      ],
      swiftSettings: strict),

    // Consumers.
    .target(
      name: "DeviceClient",
      dependencies: [
        "CTrap", "SystemCalls", .product(name: "SystemPackage", package: "swift-system"),
      ],
      swiftSettings: strict),
    .target(
      name: "XIVEClient",
      dependencies: [
        "CXIVE", "CSystemCalls", "CZlib", "DeviceClient", "XIVEModel", "SystemCalls",
        .product(name: "SystemPackage", package: "swift-system"),
      ],
      swiftSettings: strict),

    // Who touched which page and why: records, readers, renderers.
    .target(
      name: "XIVETrace",
      dependencies: [
        "CXIVE", "CElfutils", "CSystemCalls", "CZlib", "DeviceClient", "TraceRecords",
        "XIVEClient", "XIVEModel",
        "SystemCalls", .product(name: "SystemPackage", package: "swift-system"),
      ],
      // Style and script of a report's page.
      resources: [.embedInCode("Report/Resources")],
      swiftSettings: strict),

    // Hot-plug scenarios and the stale-page detector.
    .target(
      name: "XIVEHarness",
      dependencies: [
        "CHarness", "XIVEClient", "XIVETrace", "TraceRecords", "DeviceClient", "XIVEModel",
        "SystemCalls", .product(name: "SystemPackage", package: "swift-system"),
      ],
      swiftSettings: strict),

    // The command.
    .target(
      name: "XIVECommands",
      dependencies: [
        "CBench", "XIVEDevice", "XIVEModel", "PagedDevice", "DeviceFile", "DeviceClient",
        "XIVEClient", "XIVEHarness", "TraceRecords", "XIVETrace", "SystemCalls",
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
        .product(name: "Logging", package: "swift-log"),
        .product(name: "SystemPackage", package: "swift-system"),
      ],
      swiftSettings: strict),
    .executableTarget(
      name: "xive",
      dependencies: [
        "XIVECommands", .product(name: "Logging", package: "swift-log"),
        .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: strict),

    // An example: a second device, which keeps DeviceFile from learning about the first.
    .executableTarget(
      name: "doorbell",
      dependencies: [
        "PagedDevice", "DeviceFile", "SystemCalls",
        .product(name: "Logging", package: "swift-log"),
      ],
      path: "tools/examples/doorbell", swiftSettings: strict),

    // An example: the controller inside a program, which keeps the model from needing the file.
    .executableTarget(
      name: "embedded", dependencies: ["XIVEModel"], path: "tools/examples/embedded",
      swiftSettings: strict),

    // Tests.
    .executableTarget(
      name: "TestConsumer", dependencies: ["CTrap", "CXIVE"], path: "Tests/TestConsumer",
      cSettings: [.define("_GNU_SOURCE")]),
    .executableTarget(
      name: "TrapLife", dependencies: ["CTrap", "CXIVE"], path: "Tests/TrapLife",
      // For the C++ compiler of the system, which a test calls itself.
      exclude: ["living_throw.cc"],
      cSettings: [.define("_GNU_SOURCE"), .headerSearchPath("../../Sources/CTrap")]),
    .executableTarget(
      name: "TrapProgram",
      dependencies: ["DeviceClient", "SystemCalls", "XIVEClient", "XIVEModel"],
      path: "Tests/TrapProgram",
      swiftSettings: strict),
    .executableTarget(
      name: "StuckServer",
      dependencies: [
        "DeviceFile", "PagedDevice", "SystemCalls", .product(name: "Logging", package: "swift-log"),
      ],
      path: "Tests/StuckServer", swiftSettings: strict),
    .executableTarget(
      name: "TestServer",
      dependencies: [
        "DeviceFile", "PagedDevice", "SystemCalls",
        .product(name: "Logging", package: "swift-log"),
      ],
      path: "Tests/TestServer", swiftSettings: strict),
    .target(
      name: "XIVETestSupport",
      dependencies: [
        "XIVEModel", "SystemCalls", .product(name: "SystemPackage", package: "swift-system"),
      ],
      path: "Tests/XIVETestSupport", swiftSettings: strict),
    .testTarget(
      name: "XIVEModelTests", dependencies: ["XIVEModel", "XIVETestSupport", "CXIVE"],
      swiftSettings: strict),
    .testTarget(
      name: "XIVEDeviceTests",
      dependencies: [
        "XIVEDevice", "XIVEModel", "PagedDevice", "TraceRecords", "XIVETestSupport", "CXIVE",
      ],
      swiftSettings: strict),
    .testTarget(
      name: "DeviceFileTests",
      dependencies: [
        "DeviceFile", "PagedDevice", "SystemCalls", "CFuse3", "TestConsumer", "XIVETestSupport",
        .product(name: "Logging", package: "swift-log"),
        .product(name: "SystemPackage", package: "swift-system"),
      ],
      swiftSettings: strict),
    .testTarget(
      name: "XIVEClientTests",
      dependencies: [
        "xive", "doorbell", "XIVEClient", "DeviceClient", "XIVEModel", "SystemCalls",
        "XIVETestSupport",
        .product(name: "SystemPackage", package: "swift-system"),
      ],
      // C that the tests compile themselves.
      exclude: [
        "delivery.c", "expect.h", "injection.c", "interface.c", "machine.c", "passthrough.c",
        "trace.c", "trapped.c", "vcpus.c", "window.c", "window.h",
      ],
      swiftSettings: strict),
    .testTarget(
      name: "TraceRecordsTests",
      dependencies: ["TraceRecords", "XIVEModel", "CXIVE", "XIVETestSupport"],
      swiftSettings: strict),
    .testTarget(
      name: "XIVETraceTests",
      dependencies: [
        "xive", "TestConsumer", "CXIVE", "TraceRecords", "XIVETrace", "DeviceClient", "XIVEClient",
        "XIVEModel", "SystemCalls",
        "XIVETestSupport",
        .product(name: "SystemPackage", package: "swift-system"),
      ],
      // What reads and uses reports.
      exclude: ["report.py", "report_markup.py"],
      swiftSettings: strict),
    .testTarget(
      name: "HarnessTests",
      dependencies: [
        "CHarness", "CXIVE", "XIVEHarness", "XIVECommands", "XIVEClient", "XIVEModel",
        "SystemCalls",
        "XIVETestSupport", .product(name: "ArgumentParser", package: "swift-argument-parser"),
      ],
      swiftSettings: strict),
    .testTarget(
      name: "TrapTests", dependencies: ["SystemCalls", "XIVETestSupport"],
      // C that the tests compile themselves.
      exclude: ["Programs"],
      swiftSettings: strict),
    .testTarget(
      name: "TrapLifeTests",
      dependencies: ["xive", "TrapLife", "TrapProgram", "SystemCalls", "XIVETestSupport"],
      swiftSettings: strict),
    .testTarget(
      name: "DoorbellTests", dependencies: ["doorbell", "TestConsumer", "XIVETestSupport"],
      swiftSettings: strict),
    .testTarget(
      name: "EmbeddedTests", dependencies: ["embedded", "SystemCalls", "XIVETestSupport"],
      swiftSettings: strict),
    .testTarget(
      name: "TrapPreloadTests", dependencies: ["xive", "SystemCalls", "XIVETestSupport"],
      // C that the tests compile themselves.
      exclude: [
        "descriptors.c", "guest.c", "inherited.c", "interface.c", "kinds.c", "mappings.c",
        "moves.c", "overmaps.c", "protections.c", "rig.h", "signals.c",
      ],
      swiftSettings: strict),
    .testTarget(
      name: "EndToEndTests",
      dependencies: [
        "xive", "TestConsumer", "TestServer", "StuckServer", "XIVEHarness", "XIVEClient",
        "DeviceClient", "XIVEModel", "TraceRecords", "CXIVE", "XIVETestSupport", "SystemCalls",
      ],
      // C that a test compiles itself.
      exclude: ["allocations.c", "mailbox.c"],
      swiftSettings: strict),
  ]
)
