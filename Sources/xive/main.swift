internal import ArgumentParser
internal import Logging
internal import XIVECommands

LoggingSystem.bootstrap(StreamLogHandler.standardError)
XIVECommand.main()
