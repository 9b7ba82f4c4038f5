// SPDX-License-Identifier: Apache-2.0
//
// What a Parquet file holds, as text that another reader can produce too: per column its type, its
// nulls and a CRC-32 over the canonical text of its values in order, each followed by a newline:
//
//   null             N                      floating       bits in hex, or nan
//   integers         decimal                text, bytes    hex
//   timestamps       µs, decimal            dates          days, decimal
//   maps             {key:value,...}        hex, N for a null value, by key
//
// For the tests and fuzz targets of src/parquet.
#pragma once

#include "parquet/reader.h"

// A source over bytes in memory; both are borrowed.
ParquetSource parquet_text_source(const Bytes *file);

void parquet_text_value(Buf *out, const Vector *v, uint32_t row);

// Appends "rows N" and a line per column; what cannot be read is a line with the reason.
void parquet_text_file(Buf *out, const Bytes *file);
