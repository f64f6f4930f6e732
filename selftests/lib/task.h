/* SPDX-License-Identifier: GPL-2.0-only */
/* A call made in a child, whose end and whose sleep can be observed. */
#ifndef LIB_TASK_H
#define LIB_TASK_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct task {
	pid_t pid;
	int pipe;
};

/* Runs @fn(@arg) in a forked child. */
int task_start(struct task *t, int (*fn)(void *arg), void *arg);
/* The same without the caller's descriptors, which the child would hold open. */
int task_start_alone(struct task *t, int (*fn)(void *arg), void *arg);
/* Waits for its end and returns what @fn returned; -ETIMEDOUT kills it. */
int task_join(struct task *t);
/* Has it ended?  Waits @ms for that. */
bool task_ended(struct task *t, int ms);
/* Waits until it sleeps in the kernel function @where (a part of the name). */
bool task_sleeps_in(struct task *t, const char *where);
/* Waits until it, which removes a device, waits for those who use the device. */
bool task_waits_for_users(struct task *t);

/* The same in a thread, which shares the caller's memory and files. */
struct worker {
	pthread_t thread;
	atomic_int tid;
	atomic_bool ended;
	int (*fn)(void *arg);
	void *arg;
	int ret;
};

int worker_start(struct worker *w, int (*fn)(void *arg), void *arg);
int worker_join(struct worker *w);
bool worker_ended(struct worker *w);
/* The same, and waits for that: does it end by itself? */
bool worker_ends(struct worker *w);
bool worker_sleeps_in(struct worker *w, const char *where);
bool worker_waits_for_users(struct worker *w);

/* Closes *@fd, in a task, worker or sweep.  Returns 0 or -errno. */
int close_op(void *fd);

/* Sends one fd over a socket, and takes one. */
int fd_send(int sock, int fd);
int fd_receive(int sock);

#endif
