# shellcheck shell=bash
# Steps: one line each while all is well, the end of the log when not. Sourced by ./dev.

logs=$PWD/.build/logs
failed_steps=()

# step NAME COMMAND...: runs the command (a function with `set -e` in force) with its output in a log. A step holds a lock
# of its name, so that two runs in one checkout take turns where they would build the same folder. Never fails itself:
# failures are collected.
step() { run_step no "$@"; }

# The same, and a warning in the log is a failure.
build_step() { run_step yes "$@"; }

run_step() { # yes|no NAME COMMAND...
    local no_warnings=$1 name=$2 log=$logs/${2//[^A-Za-z0-9+]/-}.log status start=$SECONDS
    shift 2
    mkdir -p "$logs" .build/locks
    printf '%-46s' "$name"
    set +e
    (
        flock 9
        set -euo pipefail
        "$@" 9>&-
    ) 9>".build/locks/${log##*/}" >"$log" 2>&1 </dev/null
    status=$?
    set -e
    if [ $status = 0 ] && [ "$no_warnings" = yes ] && grep -Eq '(^|[ :])warning: |^CMake Warning' "$log"; then
        printf 'FAILED: warnings (%d s)\n' $((SECONDS - start))
        grep -En -A 6 '(^|[ :])warning: |^CMake Warning' "$log" | head -n 40 | sed 's/^/    /'
    elif [ $status = 0 ]; then
        printf 'ok (%d s)\n' $((SECONDS - start))
        return 0
    else
        printf 'FAILED with %d (%d s), %s\n' $status $((SECONDS - start)) "${log#"$PWD"/}"
        failures "$log" | sed 's/^/    /'
        tail -n 20 "$log" | sed 's/^/    /'
    fi
    failed_steps+=("$name")
}

# start_step and start_build NAME COMMAND...: a step or build_step that runs beside those that follow, with the CPU time that
# they leave. finish NAME waits for it and reports it; with the end of the script it ends, too.
declare -A started=()
trap stop_started EXIT

start_step() { start no "$@"; }

start_build() { start yes "$@"; }

start() { # yes|no NAME COMMAND...
    local report=$logs/${2//[^A-Za-z0-9+]/-}.report
    mkdir -p "$logs"
    set -m # a process group of its own
    (
        { chrt --idle --pid 0 "$BASHPID" || renice -n 19 "$BASHPID"; } >/dev/null 2>&1
        run_step "$@"
        ! step_failed "$2"
    ) >"$report" 2>&1 </dev/null &
    set +m
    started[$2]=$!
}

finish() { # NAME
    wait "${started[$1]}" || failed_steps+=("$1")
    unset "started[$1]"
    cat "$logs/${1//[^A-Za-z0-9+]/-}.report"
}

stop_started() {
    local pid
    for pid in "${started[@]}"; do kill -TERM -- "-$pid" 2>/dev/null || true; done
}

# What test runners and compilers say of failures, which may stand far above the end of a log.
failures() { # LOG
    { grep -aE -A 2 '^ *✘|: error: |\*\*\*(Failed|Timeout|Exception)|^(FAIL|ERROR)[: ]|^ *FAILED: ' "$1" || true; } | head -n 60
}

step_failed() { # NAME
    local name
    for name in "${failed_steps[@]}"; do
        if [ "$name" = "$1" ]; then return 0; fi
    done
    return 1
}

skipped() { # NAME REASON
    printf '%-46sskipped: %s\n' "$1" "$2"
}

# The verdict of all steps so far; the exit code of the command.
conclude() { # WHAT
    if [ ${#failed_steps[@]} = 0 ]; then
        printf '%s: all steps passed (%d s)\n' "$1" "$SECONDS"
        return 0
    fi
    printf '%s: FAILED: ' "$1"
    printf '%s; ' "${failed_steps[@]}"
    printf '(%d s)\n' "$SECONDS"
    return 1
}
