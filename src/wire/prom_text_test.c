// SPDX-License-Identifier: Apache-2.0
#include "wire/prom_text.h"

#include "tests/support/test.h"

#include <math.h>

TEST(prom_text, families)
{
    static const double bounds[] = {0.005, 0.1, 1};
    static const uint64_t counts[] = {3, 0, 4, 1};
    const PromTextLabel route[] = {{"route", STR("/api/v1/\"write\"\\\n")}, {"code", STR("2xx")}};
    Buf out;
    buf_init(&out, 0);
    PromText w = prom_text_of(&out);
    prom_text_counter(&w, "cardinal_samples_total", "Samples stored.\nBack\\slash", UINT64_MAX);
    prom_text_gauge(&w, "cardinal:load", "", (double)NAN);
    prom_text_family(&w, "requests", PROM_TEXT_UNTYPED, "Requests.");
    prom_text_u64(&w, route, 2, 12);
    prom_text_f64(&w, route, 1, 1e21);
    prom_text_f64(&w, NULL, 0, -(double)INFINITY);
    prom_text_family(&w, "seconds", PROM_TEXT_HISTOGRAM, "Time.");
    const PromTextHistogram histogram = {bounds, counts, ARRAY_LEN(bounds), 2.5};
    prom_text_histogram(&w, route + 1, 1, &histogram);
    prom_text_histogram(&w, NULL, 0, &(PromTextHistogram){bounds, counts, 0, 0});
    CHECK_STR(buf_str(&out),
              STR("# HELP cardinal_samples_total Samples stored.\\nBack\\\\slash\n"
                  "# TYPE cardinal_samples_total counter\n"
                  "cardinal_samples_total 18446744073709551615\n"
                  "# HELP cardinal:load \n"
                  "# TYPE cardinal:load gauge\n"
                  "cardinal:load NaN\n"
                  "# HELP requests Requests.\n"
                  "# TYPE requests untyped\n"
                  "requests{route=\"/api/v1/\\\"write\\\"\\\\\\n\",code=\"2xx\"} 12\n"
                  "requests{route=\"/api/v1/\\\"write\\\"\\\\\\n\"} 1e+21\n"
                  "requests -Inf\n"
                  "# HELP seconds Time.\n"
                  "# TYPE seconds histogram\n"
                  "seconds_bucket{code=\"2xx\",le=\"0.005\"} 3\n"
                  "seconds_bucket{code=\"2xx\",le=\"0.1\"} 3\n"
                  "seconds_bucket{code=\"2xx\",le=\"1\"} 7\n"
                  "seconds_bucket{code=\"2xx\",le=\"+Inf\"} 8\n"
                  "seconds_sum{code=\"2xx\"} 2.5\n"
                  "seconds_count{code=\"2xx\"} 8\n"
                  "seconds_bucket{le=\"+Inf\"} 3\n"
                  "seconds_sum 0\n"
                  "seconds_count 3\n"));
    buf_deinit(&out);
}
