// SPDX-License-Identifier: Apache-2.0
#include "net/http_internal.h"

#include "tests/support/test.h"

enum { PASS = 0, WAIT = 1 };

TEST(http_door, table)
{
    static const struct {
        const char *why;
        Str in;
        int want; // PASS, WAIT, or the status
    } cases[] = {
        {"nothing yet", STR(""), WAIT},
        {"half a line", STR("GET / HT"), WAIT},
        {"no end yet", STR("GET / HTTP/1.1\r\nHost: x\r\n"), WAIT},
        {"a head", STR("GET / HTTP/1.1\r\nHost: x\r\n\r\n"), PASS},
        {"bare line feeds", STR("GET / HTTP/1.1\nHost: x\n\n"), PASS},
        {"an empty line in front", STR("\r\nGET / HTTP/1.1\r\n\r\n"), PASS},
        {"a body behind", STR("POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\na\nb"), PASS},
        {"a value that goes on", STR("GET / HTTP/1.1\r\nA: b\r\n c\r\n\r\n"), PASS},
        {"no colon", STR("GET / HTTP/1.1\r\nHost\r\n\r\n"), 400},
        {"no colon, no end yet", STR("GET / HTTP/1.1\r\nHost\r\n"), 400},
        {"no name", STR("GET / HTTP/1.1\r\n: x\r\n\r\n"), 400},
        {"a length of words", STR("GET / HTTP/1.1\r\ncontent-length: five\r\n\r\n"), 400},
        {"a negative length", STR("GET / HTTP/1.1\r\nContent-Length: -1\r\n\r\n"), 400},
        {"a length past 64 bits",
         STR("P / HTTP/1.1\r\nContent-Length: 18446744073709551616\r\n\r\n"), 413},
        {"no length", STR("GET / HTTP/1.1\r\nContent-Length:\r\n\r\n"), 400},
        {"as large as it may be",
         STR("GET /23456789012 HTTP/1.1\r\nHost: 678901234567890\r\nA: 67\r\n\r\n"), PASS},
        {"larger", STR("GET /23456789012 HTTP/1.1\r\nHost: 678901234567890\r\nA: 678\r\n\r\n"),
         431},
        {"a long target", STR("GET /234567890123456789012345678901234567890123456789012345"), WAIT},
        {"a longer one", STR("GET /2345678901234567890123456789012345678901234567890123456"), 414},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        const HttpDoor door = http_door_look(cases[i].in, 59);
        const int got = door.verdict == HTTP_DOOR_REFUSE ? door.status : (int)door.verdict;
        if (got != cases[i].want || (door.verdict == HTTP_DOOR_REFUSE) != (door.why != NULL)) {
            test_fail(t, __FILE__, __LINE__, "%s: %d, want %d", cases[i].why, got, cases[i].want);
        }
    }
}
