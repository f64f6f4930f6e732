// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "sequences.h"

/* What is printed of a walk that went wrong. */
#define TOLD 12
#define LENGTH_MAX 16
/* A sign of life, for whoever takes a machine that says nothing for one that hangs. */
#define SIGN_OF_LIFE 2000

static void tell(const struct sequences *o, const int *ops, int n)
{
	printf("# after:");
	for (int i = 0; i < n; i++)
		printf(" %s%s", o->names[ops[i]], i < n - 1 ? "," : "\n");
}

/* Done so far, with the one that comes next. */
static void count(long *done)
{
	if (++*done % SIGN_OF_LIFE == 0)
		fprintf(stderr, "# %ld operations\n", *done);
}

static long report(long done)
{
	printf("# %ld operations\n", done);
	return done;
}

long sequences_all(const struct sequences *o, int length)
{
	int ops[LENGTH_MAX] = { 0 }, fresh = 0;
	long done = 0;

	if (length < 1 || length > LENGTH_MAX)
		return -EINVAL;
	for (;;) {
		int ret = 0, at;

		for (at = 0; !ret && at < length; at++) {
			count(&done);
			ret = o->step(o->arg, ops[at], at >= fresh);
		}
		if (!ret)
			ret = o->undo(o->arg);
		if (ret) {
			tell(o, ops, at);
			return ret;
		}
		/* As a counter counts; what is in front of the digit that changed was seen. */
		for (fresh = length - 1; fresh >= 0 && ++ops[fresh] == o->count; fresh--)
			ops[fresh] = 0;
		if (fresh < 0)
			return report(done);
	}
}

struct walk {
	const struct sequences *sequences;
	int length;
	int word[LENGTH_MAX + 1];
	int last[TOLD], first[LENGTH_MAX];
	long done;
	int ret;
};

static void walk_step(struct walk *w, int op)
{
	if (w->ret)
		return;
	if (w->done < LENGTH_MAX)
		w->first[w->done] = op;
	w->last[w->done % TOLD] = op;
	count(&w->done);
	w->ret = w->sequences->step(w->sequences->arg, op, true);
}

/*
 * A de Bruijn sequence: the Lyndon words whose lengths divide @length, in the order of a
 * dictionary.  @at is the next letter of the word, @period what it repeats so far.
 */
static void walk_words(struct walk *w, int at, int period)
{
	if (at > w->length) {
		for (int i = 1; w->length % period == 0 && i <= period; i++)
			walk_step(w, w->word[i]);
		return;
	}
	w->word[at] = w->word[at - period];
	walk_words(w, at + 1, period);
	while (!w->ret && ++w->word[at] < w->sequences->count)
		walk_words(w, at + 1, at);
}

long sequences_walk(const struct sequences *o, int length)
{
	struct walk w = { .sequences = o, .length = length };

	if (length < 1 || length > LENGTH_MAX)
		return -EINVAL;
	walk_words(&w, 1, 1);
	/* Its end goes on with its beginning. */
	for (int i = 0; i < length - 1; i++)
		walk_step(&w, w.first[i]);
	if (!w.ret)
		w.ret = o->undo(o->arg);
	if (w.ret) {
		int told[TOLD], n = w.done < TOLD ? w.done : TOLD;

		for (int i = 0; i < n; i++)
			told[i] = w.last[(w.done - n + i) % TOLD];
		tell(o, told, n);
		return w.ret;
	}
	return report(w.done);
}
