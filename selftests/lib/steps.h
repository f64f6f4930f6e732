/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Programs for a person to watch, and what they begin and end with.  One line a step: the
 * call, what came of it, and whether that is what had to come.
 */
#ifndef LIB_STEPS_H
#define LIB_STEPS_H

#include <stdbool.h>
#include <stdint.h>

#include "kselftest.h"

/* What was called, what came of it; @ok says if it had to. */
void step(bool ok, const char *call, const char *fmt, ...) __printf(3, 4);
/*
 * A step that must end with the value @want; a higher one is as good as 0.  Returns @ret, which
 * is what came.
 */
int expect(int want, int ret, const char *call);
/* A line between two steps. */
void note(const char *fmt, ...) __printf(1, 2);
/* The end, with what it means that all steps went well: the status of the program. */
int verdict(const char *meaning);

/* The first step, and the last: VFIO's modules, with that for PCI devices. */
void insert_stack(void);
void remove_stack(void);

#endif
