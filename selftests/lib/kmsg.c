// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core.h"
#include "kmsg.h"
#include "sysfs.h"

int kmsg_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	lseek(fd, 0, SEEK_END);
	return fd;
}

bool kmsg_wait(int fd, const char *what, int ms, char *line, size_t size)
{
	char record[2048], *text;
	ssize_t n;

	for (;;) {
		n = read(fd, record, sizeof(record) - 1);
		if (n < 0 && errno == EPIPE)	/* overwritten: go on */
			continue;
		if (n < 0) {
			if (errno != EAGAIN || !wait_readable(fd, ms))
				return false;
			continue;
		}
		record[n] = '\0';
		text = strchr(record, ';');
		text = text ? text + 1 : record;
		text[strcspn(text, "\n")] = '\0';
		if (strstr(text, what)) {
			if (line)
				snprintf(line, size, "%s", text);
			return true;
		}
	}
}

void kmsg_expect_warning(bool begin, const char *core)
{
	char line[128];

	snprintf(line, sizeof(line), "vfio-selftest: expect-warn %s %s\n",
		 begin ? "begin" : "end", begin && core ? core : "");
	sysfs_write("/dev/kmsg", line);
}
