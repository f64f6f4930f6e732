// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/wait.h>

#include "bound.h"
#include "core.h"
#include "pasid_table.h"
#include "sva.h"
#include "sva_lab.h"
#include "svadev.h"

#define EXEC_PIPES "BOUND_CHILD_PIPES"

int sva_devices(struct pci *a, struct pci *b)
{
	int lab, ret;

	if (pci_find(SVADEV, 0, a) || pci_find(SVADEV, 1, b))
		return -ENODEV;
	lab = sva_lab_open();
	if (lab < 0)
		return lab;
	ret = sva_lab_capable(true);
	if (ret) {
		sva_lab_close(lab);
		return ret;
	}
	return lab;
}

bool is_mine(int lab, const struct pci *pci, uint32_t pasid)
{
	struct pasid_entry entry;

	return !pasid_entry(pci, pasid, &entry) && pasid_kind(&entry) == PASID_FIRST_STAGE &&
	       sva_lab_root(lab) && pasid_root(&entry) == sva_lab_root(lab);
}

int entry_of(const struct pci *pci, uint32_t pasid)
{
	struct pasid_entry entry;

	return pasid_entry(pci, pasid, &entry);
}

/* Asks until the answer is yes, or it takes too long. */
static bool become(bool (*is)(const void *a, const void *b), const void *a, const void *b)
{
	const struct timespec pause = { .tv_nsec = 10000000 };

	for (int ms = 0; ms < EVENT_MS; ms += 10) {
		if (is(a, b))
			return true;
		nanosleep(&pause, NULL);
	}
	return false;
}

static bool has_entries(const void *pci, const void *count)
{
	return pasid_entries(pci) == *(const int *)count;
}

bool entries_become(const struct pci *pci, int count)
{
	return become(has_entries, pci, &count);
}

static bool has_processes(const void *fd, const void *pasids)
{
	char path[64], text[1024], want[128];

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", *(const int *)fd);
	if (sysfs_read(path, text, sizeof(text)) < 0)
		return false;
	if (!*(const char *)pasids)
		return !strstr(text, "vfio-process-pasids:");
	snprintf(want, sizeof(want), "vfio-process-pasids: %s", (const char *)pasids);
	return strstr(text, want);
}

bool processes_become(int fd, const char *pasids)
{
	return become(has_processes, &fd, pasids);
}

static void answer(int to, int what)
{
	if (write(to, &what, sizeof(what)) != sizeof(what))
		_exit(1);
}

/* The life of the child, or of the program that it became: the file's number in @fd. */
static _Noreturn void obey(int from, int to, int fd, int lab, const struct pci *pci)
{
	char what, text[64];
	uint32_t pasid;
	int ret;

	while (read(from, &what, 1) == 1 && what != BOUND_END) {
		switch (what) {
		case BOUND_BIND:
			ret = process_bind(fd, &pasid);
			/* What only it can know: the table is its own. */
			if (!ret && lab >= 0 && !is_mine(lab, pci, pasid))
				ret = -EBADMSG;
			answer(to, ret ? ret : (int)pasid);
			break;
		case BOUND_UNBIND:
			answer(to, process_unbind(fd));
			break;
		case BOUND_CLOSE:
			answer(to, close(fd) ? -errno : 0);
			break;
		case BOUND_EXEC:
			/* Descriptors that the new program is to have. */
			snprintf(text, sizeof(text), "%d %d %d", dup(from), dup(to), dup(fd));
			setenv(EXEC_PIPES, text, 1);
			execl("/proc/self/exe", "bound_child", NULL);
			answer(to, -errno);
			break;
		default:
			answer(to, -EINVAL);
		}
	}
	_exit(0);
}

/* Run in the new program. */
static void __attribute__((constructor)) after_exec(void)
{
	const char *text = getenv(EXEC_PIPES);
	int from, to, fd;

	if (!text || sscanf(text, "%d %d %d", &from, &to, &fd) != 3)
		return;
	answer(to, 0);
	obey(from, to, fd, -1, NULL);
}

int bound_call(struct bound_child *child, char what)
{
	int ret;

	if (write(child->to, &what, 1) != 1 || read(child->from, &ret, sizeof(ret)) != sizeof(ret))
		return -EPIPE;
	return ret;
}

int bound_start(struct bound_child *child, int fd, int lab, const struct pci *pci)
{
	int to[2], from[2];

	if (pipe(to) || pipe(from))
		return -errno;
	child->pid = fork();
	if (!child->pid) {
		close(to[1]);
		close(from[0]);
		obey(to[0], from[1], fd, lab, pci);
	}
	close(to[0]);
	close(from[1]);
	child->to = to[1];
	child->from = from[0];
	return child->pid < 0 ? -ECHILD : bound_call(child, BOUND_BIND);
}

static int join(struct bound_child *child)
{
	int status;

	close(child->to);
	close(child->from);
	if (waitpid(child->pid, &status, 0) != child->pid)
		return -errno;
	if (WIFSIGNALED(status))
		return WTERMSIG(status) == SIGKILL ? 0 : -EPROTO;
	return WEXITSTATUS(status) ? -EPROTO : 0;
}

int bound_end(struct bound_child *child)
{
	return write(child->to, &(char){ BOUND_END }, 1) == 1 ? join(child) : -EPIPE;
}

int bound_kill(struct bound_child *child)
{
	kill(child->pid, SIGKILL);
	return join(child);
}
