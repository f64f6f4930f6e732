// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cdev.h"
#include "core.h"
#include "group.h"
#include "introspect.h"
#include "kmsg.h"
#include "space.h"

const char *core_lines(int fd)
{
	static char text[8192];
	char path[64], *lines;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", fd);
	if (sysfs_read(path, text, sizeof(text)) < 0)
		return "unreadable";
	lines = strstr(text, "\nvfio-");
	return lines ? lines + 1 : "";
}

const char *core_lines_of(const char *sysfs, const char *ours)
{
	static char want[8192];

	snprintf(want, sizeof(want), "vfio-device-syspath: %s%s%s", sysfs,
		 core_is_rust() ? "\n" : "", core_is_rust() ? ours : "");
	return want;
}

const char *holders(const struct pci *pci)
{
	static char text[8192];
	char path[128];

	snprintf(path, sizeof(path), VFIO_DEBUGFS "/%s/holders", pci->bdf);
	return sysfs_read(path, text, sizeof(text)) < 0 ? "none" : text;
}

/* As many lines as one comparison may need. */
static char lines[16][128];

static char *next_line(void)
{
	static unsigned int next;

	return lines[next++ % 16];
}

const char *holder_line(pid_t pid, const char *path, bool bound, const char *comm)
{
	return holder_line_kvm(pid, path, bound, 0, false, comm);
}

const char *holder_line_kvm(pid_t pid, const char *path, bool bound, int kvm_devices,
			    bool machine, const char *comm)
{
	char *line = next_line();

	snprintf(line, sizeof(*lines),
		 "pid=%d access=%s bound=%s kvm-devices=%d machine=%s comm=%s", pid, path,
		 bound ? "yes" : "no", kvm_devices, machine ? "yes" : "no", comm);
	return line;
}

const char *reference_line(pid_t pid, const char *kind, const char *refs, int total,
			   const char *comm)
{
	char *line = next_line();

	snprintf(line, sizeof(*lines), "pid=%d access=%s bound=yes refs=%s total=%d comm=%s", pid,
		 kind, refs, total, comm);
	return line;
}

bool has_debugfs(void)
{
	return !access(VFIO_DEBUGFS, F_OK);
}

const char *own_name(void)
{
	static char name[16];

	prctl(PR_GET_NAME, name);
	return name;
}

int open_path(void *arg)
{
	return open_node(arg);
}

int group_start(const struct pci *pci, int space)
{
	int group = group_open(pci), ret;

	if (group < 0)
		return group;
	ret = space_set(group, space);
	if (!ret)
		return group;
	close(group);
	return ret;
}

int open_by_group(void *arg)
{
	struct by_group *by = arg;

	return group_device(by->group, by->name);
}

int other_start(struct other *o, const char *name, int (*fn)(void *arg), void *arg)
{
	int up[2], down[2], ret = -EIO;

	if (pipe(up) || pipe(down))
		return -errno;
	o->pid = fork();
	if (o->pid < 0)
		return -errno;
	if (!o->pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		prctl(PR_SET_NAME, name);
		ret = fn(arg);
		/* Nothing of ours but the pipes: its file is the one that it opened. */
		if (ret >= 0)
			dup2(ret, 1002);
		dup2(up[1], 1000);
		dup2(down[0], 1001);
		close_range(3, 999, 0);
		close_range(1003, ~0U, 0);
		(void)!write(1000, &ret, sizeof(ret));
		(void)!read(1001, &ret, 1);
		_exit(0);
	}
	close(up[1]);
	close(down[0]);
	o->go = down[1];
	if (read(up[0], &ret, sizeof(ret)) != sizeof(ret))
		ret = -EIO;
	close(up[0]);
	return ret < 0 ? ret : 0;
}

void other_stop(struct other *o)
{
	close(o->go);
	waitpid(o->pid, NULL, 0);
}

int refused_bind(struct refused *r)
{
	return r->arg ? cdev_bind_token(r->fd, r->iommufd, r->arg, NULL) :
			cdev_bind(r->fd, r->iommufd, NULL);
}

bool has_reason(struct refused *r, int kmsg)
{
	char line[256], want[256];
	int ret;

	for (int ms = 0; ms < EVENT_MS; ms += 500) {
		kmsg_count(kmsg, "");
		r->by = getpid();
		ret = r->call(r);
		if (ret != r->error) {
			printf("# %s: %d\n", r->reason, ret);
			return false;
		}
		if (!core_is_rust())
			return !kmsg_count(kmsg, "refused");
		if (!kmsg_wait(kmsg, "refused: ", 500, line, sizeof(line)))
			continue;
		snprintf(want, sizeof(want), "%s: %s by \"%s\" (%d) refused: %s (%d)",
			 r->whose, r->what, own_name(), r->by, r->reason, r->error);
		if (strstr(line, want))
			return true;
		printf("# %s\n# is not: %s\n", line, want);
		return false;
	}
	return false;
}
