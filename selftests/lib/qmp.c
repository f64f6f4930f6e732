// SPDX-License-Identifier: GPL-2.0-only
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "core.h"
#include "qmp.h"

static int read_line(int fd, char *buf, size_t size)
{
	size_t n = 0;

	while (n < size - 1) {
		if (!wait_readable(fd, EVENT_MS))
			return -ETIMEDOUT;
		if (read(fd, buf + n, 1) != 1)
			return -errno;
		if (buf[n] == '\r')
			continue;
		if (buf[n] == '\n')
			break;
		n++;
	}
	buf[n] = '\0';
	return n;
}

int qmp(const char *command, char *answer, size_t size)
{
	struct termios tio;
	int fd, ret = -EIO;

	fd = open(QMP_PORT, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (tcgetattr(fd, &tio))
		goto out;
	cfmakeraw(&tio);
	tio.c_cflag |= CLOCAL;
	tcsetattr(fd, TCSANOW, &tio);
	tcflush(fd, TCIFLUSH);
	if (dprintf(fd, "%s\n", command) < 0)
		goto out;
	do {
		ret = read_line(fd, answer, size);
		/* Greetings and events come unasked. */
	} while (ret >= 0 && !strstr(answer, "\"return\"") &&
		 !strstr(answer, "\"error\""));
	if (ret >= 0)
		ret = strstr(answer, "\"error\"") ? -EIO : 0;
out:
	close(fd);
	return ret;
}

int qmp_device_id(const char *bdf, char *id, size_t size)
{
	for (char **env = environ; *env; env++) {
		char *eq = strchr(*env, '=');
		size_t n = 0;

		if (!eq || strcmp(eq + 1, bdf))
			continue;
		for (; n < size - 1 && *env + n < eq; n++)
			id[n] = tolower((*env)[n]);
		id[n] = '\0';
		return 0;
	}
	return -ENODEV;
}

int qmp_unplug(const char *id)
{
	char command[256], answer[4096];

	snprintf(command, sizeof(command),
		 "{\"execute\": \"device_del\", \"arguments\": {\"id\": \"%s\"}}",
		 id);
	return qmp(command, answer, sizeof(answer));
}

int qmp_wait_deleted(const char *id)
{
	char command[256], answer[4096];

	snprintf(command, sizeof(command),
		 "{\"execute\": \"x-wait-event\", \"arguments\": {\"event\": \"DEVICE_DELETED\", \"data\": {\"device\": \"%s\"}, \"timeout\": %d}}",
		 id, EVENT_MS / 2000);
	return qmp(command, answer, sizeof(answer));
}

int qmp_plug_edu(const char *id, const char *port, int function)
{
	char command[512], answer[4096];

	/* Function 0 comes last, for all of the slot. */
	snprintf(command, sizeof(command),
		 "{\"execute\": \"device_add\", \"arguments\": {\"driver\": \"edu\", \"id\": \"%s\", \"bus\": \"%s\", \"addr\": \"0.%d\", \"multifunction\": true, \"dma_mask\": 18446744073709551615}}",
		 id, port, function);
	return qmp(command, answer, sizeof(answer));
}

int qmp_inject_error(const char *id, const char *error)
{
	char command[256], answer[4096];
	int ret;

	/* There is no command of QMP's own for it, and what the monitor says is text. */
	snprintf(command, sizeof(command),
		 "{\"execute\": \"human-monitor-command\", \"arguments\": {\"command-line\": \"pcie_aer_inject_error %s %s\"}}",
		 id, error);
	ret = qmp(command, answer, sizeof(answer));
	return ret ? ret : strstr(answer, "\"OK id: ") ? 0 : -EINVAL;
}

int qmp_plug(const char *id)
{
	char command[128], answer[4096];

	snprintf(command, sizeof(command), "{\"execute\": \"x-plug\", \"arguments\": {\"id\": \"%s\"}}",
		 id);
	return qmp(command, answer, sizeof(answer));
}
