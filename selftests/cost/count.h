/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What an operation costs, in instructions: for programs that scripts/suites/bench.py runs.  They print a
 * line
 *
 *	OPERATION NUMBER TICKS TICKS ...
 *
 * of time stamps per operation.  Only under QEMU's icount is a tick an instruction, and the marks
 * around each operation tell the counting plugin (scripts/suites/count-plugin.c) where it begins and ends.
 */
#ifndef COUNT_H
#define COUNT_H

#include <stdint.h>
#include <stdio.h>

#define ROUNDS	25
#define WARM_UP	5

static uint64_t ticks[ROUNDS];
static unsigned int round_now;

static inline uint64_t now(void)
{
	uint32_t low, high;

	asm volatile("rdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
}

/* Marks: even before, odd after; 2 * number.  The number is part of the instruction. */
static __always_inline void mark(const int number)
{
	asm volatile(".byte 0x0f, 0x1f, 0x80, %c0, 0, 0x10, 0x7f" : : "i"(number) : "memory");
}

#define MEASURE(number, statement) do {		\
		uint64_t begin_, end_;		\
						\
		mark(2 * (number));		\
		begin_ = now();			\
		statement;			\
		end_ = now();			\
		mark(2 * (number) + 1);		\
		ticks[round_now] = end_ - begin_; \
	} while (0)

/* Runs @statement, in which one MEASURE(number, ...) stands, with warm-up. */
#define OPERATION(name, number, statement) do {				\
		for (int i_ = 0; i_ < WARM_UP + ROUNDS; i_++) {		\
			round_now = i_ < WARM_UP ? 0 : i_ - WARM_UP;	\
			statement;					\
		}							\
		report(name, number);					\
	} while (0)

static void report(const char *name, int number)
{
	printf("%s %d", name, number);
	for (int i = 0; i < ROUNDS; i++)
		printf(" %llu", (unsigned long long)ticks[i]);
	printf("\n");
	fflush(stdout);
}

#endif
