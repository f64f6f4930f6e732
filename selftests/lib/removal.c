// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include "cdev.h"
#include "core.h"
#include "kmsg.h"
#include "open_path.h"
#include "removal.h"

static void nothing(int sig)
{
}

static int unbind(void *pci)
{
	struct sigaction sa = { .sa_handler = nothing };

	sigaction(SIGUSR1, &sa, NULL);
	return pci_unbind(pci);
}

int unbind_start(struct task *t, const struct pci *pci)
{
	return task_start_alone(t, unbind, (void *)pci);
}

bool unbind_says_who(const struct task *t, int kmsg, char *line, size_t size)
{
	if (kill(t->pid, SIGUSR1))
		return false;
	/* The line in C has no end: it shows when the next one comes. */
	for (int s = 0; s < EVENT_MS / 1000; s++) {
		if (kmsg_wait(kmsg, IN_USE, 1000, line, size))
			return true;
		sysfs_write("/dev/kmsg", "vfio-selftest: next line");
	}
	return false;
}

int holder_start(const struct pci *pci, pid_t *pid)
{
	int ends[2], ret;

	if (pipe(ends))
		return -errno;
	*pid = fork();
	if (!*pid) {
		struct opened o;

		ret = open_path_open_vfio(open_path_usual(), pci, &o);
		(void)!write(ends[1], &ret, sizeof(ret));
		pause();
	}
	close(ends[1]);
	if (*pid < 0 || read(ends[0], &ret, sizeof(ret)) != sizeof(ret))
		ret = -EPIPE;
	close(ends[0]);
	return ret;
}

#define RACE_ENDED "/tmp/no-more-races"

bool removal_race_ended(void)
{
	return !access(RACE_ENDED, F_OK);
}

static int remove_once(const struct pci *pci)
{
	struct task task;
	int ret = unbind_start(&task, pci);

	return ret ? ret : task_join(&task);
}

int removal_race(const struct pci *pci, int rounds, int (*racer)(void *arg), void *arg)
{
	struct task task;
	int ret, result;

	unlink(RACE_ENDED);
	ret = task_start(&task, racer, arg);
	if (ret)
		return ret;
	for (int i = 0; i < rounds && !ret; i++) {
		ret = remove_once(pci);
		if (!ret)
			ret = pci_to_vfio(pci);
	}
	if (!ret)
		ret = remove_once(pci);
	close(open(RACE_ENDED, O_CREAT | O_WRONLY, 0600));
	result = task_join(&task);
	unlink(RACE_ENDED);
	return ret ? ret : result;
}
