/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Operations in every order: all sequences of a length, each from the beginning; and one
 * walk in which each sequence of a length occurs, whatever came before it.
 */
#ifndef LIB_SEQUENCES_H
#define LIB_SEQUENCES_H

#include <stdbool.h>

struct sequences {
	const char *const *names;	/* of the operations */
	int count;
	void *arg;
	/*
	 * Does operation @op and compares what it says with what it must say; with @look, all
	 * else that can be seen as well.  0, or -errno after it has printed what is wrong.
	 */
	int (*step)(void *arg, int op, bool look);
	/* Undoes what is left, and sees that all is as in the beginning: 0, or as above. */
	int (*undo)(void *arg);
};

/*
 * Both print and return how many operations were done, or return the -errno of the first that
 * went wrong, after printing what led to it.  sequences_all() looks once after each sequence, however
 * often that is the beginning of another.
 */
long sequences_all(const struct sequences *sequences, int length);
long sequences_walk(const struct sequences *sequences, int length);

#endif
