// SPDX-License-Identifier: Apache-2.0
#include "base/ip.h"
#include "tests/support/test.h"

TEST(ip, text_is_canonical)
{
    static const struct {
        Str in, out; // empty out: not an address
    } cases[] = {
        {STR("10.0.0.1"), STR("10.0.0.1")},
        {STR("255.255.255.255"), STR("255.255.255.255")},
        {STR("256.0.0.1"), STR("")},
        {STR("1.2.3"), STR("")},
        {STR("1.2.3.4.5"), STR("")},
        {STR("01.2.3.4"), STR("")},
        {STR("1.2.3.4 "), STR("")},
        {STR(""), STR("")},
        {STR("::"), STR("::")},
        {STR("::1"), STR("::1")},
        {STR("1::"), STR("1::")},
        {STR("2001:DB8:0:0:1:0:0:1"), STR("2001:db8::1:0:0:1")},
        {STR("2001:db8:0:1:1:1:1:1"), STR("2001:db8:0:1:1:1:1:1")},
        {STR("fe80::1ff:fe23:4567:890a"), STR("fe80::1ff:fe23:4567:890a")},
        {STR("::ffff:10.1.2.3"), STR("::ffff:10.1.2.3")},
        {STR("64:ff9b::10.1.2.3"), STR("64:ff9b::a01:203")},
        {STR("1:2:3:4:5:6:7"), STR("")},
        {STR("1:2:3:4:5:6:7:8:9"), STR("")},
        {STR("1::2::3"), STR("")},
        {STR(":1"), STR("")},
        {STR("1:"), STR("")},
        {STR("12345::"), STR("")},
        {STR("fe80::1%eth0"), STR("")},
        {STR("1:2:3:4:5:6:7::"), STR("1:2:3:4:5:6:7:0")},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        IpAddress ip;
        char text[IP_TEXT_MAX] = "";
        const bool ok = ip_parse(cases[i].in, &ip);
        CHECK_EQ(ok, cases[i].out.len != 0);
        if (ok) {
            const size_t len = ip_format(ip, text);
            CHECK_STR(((Str){text, len}), cases[i].out);
        }
    }
}

TEST(ip, every_address_reads_back)
{
    for (int i = 0; i < 20000; i++) {
        IpAddress ip = {.is_v6 = (test_random(t) & 1) != 0};
        for (size_t k = 0; k < (ip.is_v6 ? 16U : 4U); k++) {
            ip.bytes[k] = (test_random(t) & 3) != 0 ? 0 : (uint8_t)test_random(t);
        }
        char text[IP_TEXT_MAX];
        IpAddress back;
        const size_t len = ip_format(ip, text);
        CHECK(ip_parse((Str){text, len}, &back));
        CHECK_EQ(back.is_v6, ip.is_v6);
        CHECK(memcmp(back.bytes, ip.bytes, sizeof(ip.bytes)) == 0);
    }
}

TEST(ip, prefixes)
{
    static const struct {
        Str network, ip;
        bool contains;
    } cases[] = {
        {STR("10.0.0.0/8"), STR("10.255.1.2"), true},
        {STR("10.0.0.0/8"), STR("11.0.0.0"), false},
        {STR("10.1.2.3"), STR("10.1.2.3"), true},
        {STR("10.1.2.3"), STR("10.1.2.4"), false},
        {STR("0.0.0.0/0"), STR("1.2.3.4"), true},
        {STR("0.0.0.0/0"), STR("::1"), false},
        {STR("10.128.0.0/9"), STR("10.127.255.255"), false},
        {STR("2001:db8::/33"), STR("2001:db8:7fff::1"), true},
        {STR("2001:db8::/33"), STR("2001:db8:8000::1"), false},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        IpPrefix network;
        IpAddress ip;
        CHECK(ip_parse_prefix(cases[i].network, &network));
        CHECK(ip_parse(cases[i].ip, &ip));
        CHECK_EQ(ip_prefix_contains(network, ip), cases[i].contains);
    }
    IpPrefix none;
    CHECK(!ip_parse_prefix(STR("10.0.0.0/33"), &none));
    CHECK(!ip_parse_prefix(STR("10.0.0.0/"), &none));
    CHECK(!ip_parse_prefix(STR("::/129"), &none));

    IpAddress ip;
    char text[IP_TEXT_MAX];
    CHECK(ip_parse(STR("10.1.2.3"), &ip));
    const size_t len = ip_format_prefix(ip_mask(ip, 12), 12, text);
    CHECK_STR(((Str){text, len}), STR("10.0.0.0/12"));
}
