/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The frame of every test program: the kselftest harness, the core under test,
 * and the assertion that a deliberate difference needs.
 *
 * Library functions return a value >= 0 or a negative errno, as the kernel does.
 */
#ifndef LIB_TEST_H
#define LIB_TEST_H

#include "kselftest_harness.h"
#include "core.h"

/* A hang is the only thing that a time limit here may find. */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 900

/* What the core in C does, and what ours does. */
#define BY_CORE(c, rust) (core_is_rust() ? (rust) : (c))

#endif
