// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
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

/* The next record's text in @record; false if none comes in @ms. */
static char *next_text(int fd, int ms, char *record, size_t size)
{
	char *text;
	ssize_t n;

	for (;;) {
		n = read(fd, record, size - 1);
		if (n >= 0)
			break;
		if (errno == EPIPE)	/* overwritten: go on */
			continue;
		if (errno != EAGAIN || !wait_readable(fd, ms))
			return NULL;
	}
	record[n] = '\0';
	text = strchr(record, ';');
	text = text ? text + 1 : record;
	text[strcspn(text, "\n")] = '\0';
	return text;
}

bool kmsg_wait(int fd, const char *what, int ms, char *line, size_t size)
{
	char record[2048], *text;

	while ((text = next_text(fd, ms, record, sizeof(record)))) {
		if (!strstr(text, what))
			continue;
		if (line)
			snprintf(line, size, "%s", text);
		return true;
	}
	return false;
}

bool kmsg_warned(int fd)
{
	return kmsg_wait(fd, "WARNING: ", 0, NULL, 0);
}

int kmsg_count(int fd, const char *what)
{
	char record[2048], mark[64], *text;
	static int marks;
	int count = 0;

	/* A line without its end would not be there before the next. */
	snprintf(mark, sizeof(mark), "vfio-selftest: mark %d of %d\n", ++marks, getpid());
	if (sysfs_write("/dev/kmsg", mark) < 0)
		return -errno;
	mark[strcspn(mark, "\n")] = '\0';
	while ((text = next_text(fd, EVENT_MS, record, sizeof(record)))) {
		if (!strcmp(text, mark))
			return count;
		count += !!strstr(text, what);
	}
	return -ETIMEDOUT;
}

int kmsg_level(int fd, const char *what)
{
	char record[2048], *text;

	while ((text = next_text(fd, 0, record, sizeof(record))))
		if (strstr(text, what))
			return atoi(record) & 7;	/* above it is the facility */
	return -1;
}

void kmsg_expect_warning(bool begin, const char *core)
{
	char line[128];

	snprintf(line, sizeof(line), "vfio-selftest: expect-warn %s %s\n",
		 begin ? "begin" : "end", begin && core ? core : "");
	sysfs_write("/dev/kmsg", line);
}
