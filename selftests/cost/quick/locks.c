// SPDX-License-Identifier: GPL-2.0-only
/* Locks, completions, works, and the current task.  There is one CPU and one task. */
#include <linux/completion.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/rwsem.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/swait.h>
#include <linux/workqueue.h>

#include "quick.h"

static struct task_struct task = {
	.comm = "quick",
	.pid = 1,
	.tgid = 1,
	.group_leader = &task,
	/* The core only compares the address. */
	.mm = (struct mm_struct *)&task,
};

/* The base of gs is 0, so a variable of the CPU is at its own address. */
DEFINE_PER_CPU_CACHE_HOT(struct task_struct *, current_task) = &task;

unsigned int lock_user;

/* The locks that users have acquired, with a bit for each user */
static struct {
	const void *lock;
	unsigned int users;
} acquired[64];

static void acquire(const void *lock)
{
	unsigned int i = 0;

	if (!lock_user)
		return;
	while (acquired[i].lock && acquired[i].lock != lock)
		if (++i == ARRAY_SIZE(acquired))
			fail("too many locks");
	acquired[i].lock = lock;
	acquired[i].users |= lock_user;
}

unsigned int shared_locks(void)
{
	unsigned int shared = 0;

	for (unsigned int i = 0; i < ARRAY_SIZE(acquired); i++) {
		shared += acquired[i].users == 3;
		acquired[i].lock = NULL;
		acquired[i].users = 0;
	}
	return shared;
}

void mutex_init_generic(struct mutex *lock)
{
	atomic_long_set(&lock->owner, 0);
}

void mutex_lock(struct mutex *lock)
{
	if (atomic_long_read(&lock->owner))
		fail("a mutex is acquired twice");
	acquire(lock);
	atomic_long_set(&lock->owner, (long)&task);
}

void mutex_unlock(struct mutex *lock)
{
	if (!atomic_long_read(&lock->owner))
		fail("a mutex is released, but is not held");
	atomic_long_set(&lock->owner, 0);
}

void __init_rwsem(struct rw_semaphore *sem, const char *name, struct lock_class_key *key)
{
}

void down_read(struct rw_semaphore *sem)
{
	acquire(sem);
}

void up_read(struct rw_semaphore *sem)
{
}

void down_write(struct rw_semaphore *sem)
{
	acquire(sem);
}

void up_write(struct rw_semaphore *sem)
{
}

void _raw_spin_lock(raw_spinlock_t *lock)
{
	acquire(lock);
}

void _raw_spin_unlock(raw_spinlock_t *lock)
{
}

void _raw_spin_lock_irq(raw_spinlock_t *lock)
{
	acquire(lock);
}

void _raw_spin_unlock_irq(raw_spinlock_t *lock)
{
}

void _raw_spin_lock_irq_disable(raw_spinlock_t *lock)
{
	acquire(lock);
}

void _raw_spin_unlock_irq_enable(raw_spinlock_t *lock)
{
}

unsigned long _raw_spin_lock_irqsave(raw_spinlock_t *lock)
{
	acquire(lock);
	return 0;
}

void _raw_spin_unlock_irqrestore(raw_spinlock_t *lock, unsigned long flags)
{
}

void __rcu_read_lock(void)
{
}

void __rcu_read_unlock(void)
{
}

void call_rcu(struct rcu_head *head, rcu_callback_t func)
{
	/* Memory is not reused. */
}

void __init_swait_queue_head(struct swait_queue_head *q, const char *name, struct lock_class_key *key)
{
	INIT_LIST_HEAD(&q->task_list);
}

void complete(struct completion *x)
{
	x->done++;
}

void complete_all(struct completion *x)
{
	x->done = UINT_MAX;
}

void wait_for_completion(struct completion *x)
{
	if (!x->done)
		fail("a completion never comes");
	if (x->done != UINT_MAX)
		x->done--;
}

bool try_wait_for_completion(struct completion *x)
{
	if (!x->done)
		return false;
	x->done--;
	return true;
}

/* Works that are queued.  A work runs when a task waits for its end.  The queue does not matter. */
static struct work_struct *pending[4];

struct workqueue_struct *system_percpu_wq;

bool queue_work_on(int cpu, struct workqueue_struct *wq, struct work_struct *work)
{
	unsigned int i = 0;

	for (; i < ARRAY_SIZE(pending) && pending[i]; i++)
		if (pending[i] == work)
			return false;
	if (i == ARRAY_SIZE(pending))
		fail("too many works are pending");
	pending[i] = work;
	return true;
}

bool flush_work(struct work_struct *work)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(pending); i++) {
		if (pending[i] != work)
			continue;
		memmove(&pending[i], &pending[i + 1], (ARRAY_SIZE(pending) - i - 1) * sizeof(*pending));
		pending[ARRAY_SIZE(pending) - 1] = NULL;
		work->func(work);
		return true;
	}
	return false;
}

void __flush_workqueue(struct workqueue_struct *wq)
{
	while (pending[0])
		flush_work(pending[0]);
}

struct workqueue_struct *alloc_workqueue_noprof(const char *fmt, unsigned int flags, int max_active, ...)
{
	return allocate(64);
}

void destroy_workqueue(struct workqueue_struct *wq)
{
	if (pending[0])
		fail("a work is pending");
}
