// SPDX-License-Identifier: Apache-2.0
#define _DEFAULT_SOURCE // TIOCGWINSZ
#include "os/process.h"

#include "os/os.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

enum { HOST_NAME_BYTES = 256 };

Str os_executable_path(Arena *arena)
{
    char path[OS_PATH_MAX + 1];
    const ssize_t n = readlink("/proc/self/exe", path, sizeof(path));
    return n <= 0 ? (Str){0} : arena_str(arena, (Str){path, (size_t)n});
}

Str os_host_name(Arena *arena)
{
    char name[HOST_NAME_BYTES] = "";
    if (gethostname(name, sizeof(name) - 1) != 0 || name[0] == '\0') {
        return STR("localhost");
    }
    return arena_str(arena, (Str){name, strlen(name)});
}

uint32_t os_process_id(void)
{
    return (uint32_t)getpid();
}

bool os_env(const char *name, Str *value)
{
    const char *text = getenv(name); // NOLINT(concurrency-mt-unsafe): nothing here calls setenv
    if (text == NULL) {
        return false;
    }
    *value = (Str){text, strlen(text)};
    return true;
}

static int fd_of(OsStream stream)
{
    return stream == OS_STDOUT ? STDOUT_FILENO : STDERR_FILENO;
}

bool os_stream_is_terminal(OsStream stream)
{
    return isatty(fd_of(stream)) == 1;
}

uint32_t os_stream_columns(OsStream stream)
{
    struct winsize size = {0};
    return ioctl(fd_of(stream), TIOCGWINSZ, &size) == 0 ? size.ws_col : 0;
}

static bool write_all(int fd, Str text)
{
    while (text.len != 0) {
        const ssize_t n = write(fd, text.ptr, text.len);
        if (n >= 0) {
            text = str_slice(text, (size_t)n, text.len);
        } else if (errno == EAGAIN) { // somebody made the stream non-blocking: it may be shared
            struct pollfd wait = {.fd = fd, .events = POLLOUT};
            (void)poll(&wait, 1, -1);
        } else if (errno != EINTR) {
            return false;
        }
    }
    return true;
}

bool os_print(Str text)
{
    return write_all(STDOUT_FILENO, text);
}

bool os_print_error(Str text)
{
    return write_all(STDERR_FILENO, text);
}

uint64_t os_raise_open_files(void)
{
    struct rlimit limit = {0};
    ASSERT(getrlimit(RLIMIT_NOFILE, &limit) == 0);
    const struct rlimit raised = {.rlim_cur = limit.rlim_max, .rlim_max = limit.rlim_max};
    return setrlimit(RLIMIT_NOFILE, &raised) == 0 ? raised.rlim_cur : limit.rlim_cur;
}
