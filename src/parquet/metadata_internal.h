// SPDX-License-Identifier: Apache-2.0
//
// What the decoders of footer and page headers share. This module only.
#pragma once

#include "parquet/metadata.h"
#include "parquet/thrift.h"

void parquet_read_statistics(Thrift *t, ParquetStatistics *out);
