import Glibc

/// Starts this test program once more.
enum ChildProcess {
    /// Runs the tests whose name matches `filter` in a child with one environment variable more; false when it cannot be started.
    static func spawnSelf(_ child: inout pid_t, filter: String, variable: String) -> Bool {
        // The same program with the same arguments, but for the filter.
        var arguments: [String] = []
        var skip = false
        for argument in CommandLine.arguments {
            if skip {
                skip = false
                continue
            }
            if ["--filter", "--skip", "--xunit-output", "--event-stream-output-path"].contains(argument) {
                skip = true
                continue
            }
            arguments.append(argument)
        }
        arguments += ["--filter", filter]
        var argv = arguments.map { strdup($0) } + [nil]
        defer { for pointer in argv { free(pointer) } }
        var environment: [UnsafeMutablePointer<CChar>?] = []
        for index in 0... {
            guard let entry = environ[index] else { break }
            environment.append(entry)
        }
        let added = strdup(variable)
        defer { free(added) }
        environment += [added, nil]
        // Its chatter would mix with ours.
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0)
        posix_spawn_file_actions_addopen(&actions, 2, "/dev/null", O_WRONLY, 0)
        return posix_spawn(&child, "/proc/self/exe", &actions, nil, &argv, &environment) == 0
    }
}
