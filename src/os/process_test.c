// SPDX-License-Identifier: Apache-2.0
//
// Processes of their own, where the thing tested is one of the whole process.
#include "os/os.h"
#include "os/process.h"
#include "os/signals.h"
#include "os/thread.h"
#include "tests/support/test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

// Runs `body` in a child; whether it returned true.
static bool in_child(bool (*body)(void))
{
    int status = 0;
    const pid_t child = fork();
    if (child == 0) {
        _exit(body() ? 0 : 1);
    }
    return child > 0 && waitpid(child, &status, 0) == child && WIFEXITED(status) &&
           WEXITSTATUS(status) == 0;
}

static bool signals_are_waited_for(void)
{
    int pipe_fds[2];
    os_signals_block();
    bool ok = os_signal_wait(0) == OS_SIGNAL_NONE && os_signal_wait(5) == OS_SIGNAL_NONE;
    ok = ok && kill(getpid(), SIGHUP) == 0 && os_signal_wait(-1) == OS_SIGNAL_RELOAD;
    ok = ok && kill(getpid(), SIGTERM) == 0 && os_signal_wait(1000) == OS_SIGNAL_STOP;
    ok = ok && kill(getpid(), SIGINT) == 0 && os_signal_wait(-1) == OS_SIGNAL_STOP;
    // Writing to a pipe nobody reads would kill, but for the ignored SIGPIPE.
    ok = ok && pipe(pipe_fds) == 0 && close(pipe_fds[0]) == 0 && write(pipe_fds[1], "x", 1) == -1;
    return ok && os_signal_wait(0) == OS_SIGNAL_NONE;
}

TEST(signals, are_waited_for)
{
    CHECK(in_child(signals_are_waited_for));
}

static void spin(void *arg)
{
    (void)arg;
    os_sleep_ns(os_posix(), 50000000);
}

// Sent to the process, taken by the waiting thread although another one runs.
static bool signals_reach_the_waiting_thread(void)
{
    Thread other = {0};
    Err err;
    os_signals_block();
    bool ok = thread_start(&other, "other", spin, NULL, &err) == OK;
    ok = ok && kill(getpid(), SIGTERM) == 0 && os_signal_wait(2000) == OS_SIGNAL_STOP;
    thread_join(&other);
    return ok;
}

TEST(signals, reach_the_waiting_thread)
{
    CHECK(in_child(signals_reach_the_waiting_thread));
}

TEST(process, knows_itself)
{
    Str value = {0};
    const Str path = os_executable_path(&t->arena);
    CHECK(path.len > 7 && path.ptr[0] == '/');
    CHECK_STR(str_slice(path, path.len - 7, path.len), STR("test_os"));
    CHECK(os_host_name(&t->arena).len > 0);
    CHECK_EQ(os_process_id(), getpid());
    CHECK(setenv("CARDINAL_TEST_VARIABLE", "value", 1) == 0); // NOLINT(concurrency-mt-unsafe)
    CHECK(os_env("CARDINAL_TEST_VARIABLE", &value));
    CHECK_STR(value, STR("value"));
    CHECK(!os_env("CARDINAL_TEST_VARIABLE_THAT_IS_NOT", &value));
}

// Much more than a pipe holds, into one that does not block, while the parent reads slowly.
static bool prints_all_of_it(void)
{
    enum { BYTES = 1 << 20 };
    int fds[2];
    static char text[BYTES];
    if (pipe(fds) != 0) {
        return false;
    }
    const pid_t writer = fork();
    if (writer == 0) {
        (void)close(fds[0]);
        (void)fcntl(fds[1], F_SETFL, O_NONBLOCK);
        (void)dup2(fds[1], STDOUT_FILENO);
        memset(text, 'x', sizeof(text));
        const bool ok = os_stream_columns(OS_STDOUT) == 0 && !os_stream_is_terminal(OS_STDOUT) &&
                        os_print((Str){text, sizeof(text)}) && os_print(STR("")) &&
                        os_print(STR("end"));
        _exit(ok ? 0 : 1);
    }
    (void)close(fds[1]);
    size_t total = 0;
    ssize_t n = 1;
    while (n > 0) {
        n = read(fds[0], text, 1000);
        total += n > 0 ? (size_t)n : 0;
    }
    int status = 0;
    (void)waitpid(writer, &status, 0);
    return total == BYTES + 3 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

TEST(process, prints_all_of_it)
{
    CHECK(in_child(prints_all_of_it));
}

static bool says_when_nobody_reads(void)
{
    int fds[2];
    os_signals_block();
    return pipe(fds) == 0 && dup2(fds[1], STDERR_FILENO) == STDERR_FILENO && close(fds[1]) == 0 &&
           close(fds[0]) == 0 && !os_print_error(STR("text"));
}

TEST(process, says_when_nobody_reads)
{
    CHECK(in_child(says_when_nobody_reads));
}

static bool raises_open_files(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_max < 20) {
        return false;
    }
    limit.rlim_cur = 20;
    return setrlimit(RLIMIT_NOFILE, &limit) == 0 && os_raise_open_files() == limit.rlim_max &&
           getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur == limit.rlim_max;
}

TEST(process, raises_open_files)
{
    CHECK(in_child(raises_open_files));
}

#ifndef NDEBUG

// Takes two locks in a child with its stderr closed; whether it panicked.
static bool panics(uint32_t first, uint32_t second)
{
    int status = 0;
    const pid_t child = fork();
    if (child == 0) {
        Mutex a, b;
        (void)close(STDERR_FILENO);
        mutex_init_level(&a, first);
        mutex_init_level(&b, second);
        mutex_lock(&a);
        mutex_lock(&b);
        mutex_unlock(&a);
        mutex_unlock(&b);
        mutex_lock(&a); // all were given back
        mutex_unlock(&a);
        _exit(0);
    }
    return waitpid(child, &status, 0) == child && WIFSIGNALED(status) &&
           WTERMSIG(status) == SIGABRT;
}

TEST(mutex, locks_are_taken_upwards)
{
    CHECK(!panics(1, 2));
    CHECK(panics(2, 1));
    CHECK(panics(2, 2));
    CHECK(!panics(0, 1));
    CHECK(!panics(5, 0));
}

#endif
