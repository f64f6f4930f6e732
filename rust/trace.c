// SPDX-License-Identifier: GPL-2.0-only
// The trace events, and the functions with which Rust calls them (rust_do_trace_*).

#define CREATE_TRACE_POINTS
#define CREATE_RUST_TRACE_POINTS
#include "vfio_trace.h"
