// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "vm_model.h"
#include "cdev.h"
#include "iommufd.h"
#include "recipient.h"
#include "sva.h"
#include "task.h"

#define NOBODY 65534

struct wish {
	enum recipient_call what;
	uint32_t pasid, pt;
};

static int fulfil(int fd, const struct wish *wish)
{
	uint32_t pasid;
	int ret;

	switch (wish->what) {
	case RECIPIENT_ATTACH:
		return pt_attach(fd, wish->pasid, wish->pt);
	case RECIPIENT_DETACH:
		return pt_detach(fd, wish->pasid);
	case RECIPIENT_BIND:
		return cdev_bind(fd, wish->pt, NULL);
	case RECIPIENT_OPEN_IOMMUFD:
		return iommufd_open();
	case RECIPIENT_BIND_PROCESS:
		ret = process_bind(fd, &pasid);
		return ret ? ret : (int)pasid;
	case RECIPIENT_UNBIND_PROCESS:
		return process_unbind(fd);
	}
	return -EINVAL;
}

static _Noreturn void recipient_main(int sock)
{
	struct wish wish;
	int fd, ret;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	/* The socket alone. */
	if (dup2(sock, 0) || close_range(1, ~0U, 0) || setgid(NOBODY) || setuid(NOBODY))
		_exit(1);
	fd = fd_receive(0);
	while (read(0, &wish, sizeof(wish)) == sizeof(wish)) {
		ret = fulfil(fd, &wish);
		if (write(0, &ret, sizeof(ret)) != sizeof(ret))
			_exit(1);
	}
	_exit(0);
}

int recipient_start(struct recipient *s, int fd)
{
	int socks[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, socks))
		return -errno;
	s->pid = fork();
	if (!s->pid)
		recipient_main(socks[1]);
	close(socks[1]);
	s->sock = socks[0];
	return s->pid < 0 ? -ECHILD : fd_send(s->sock, fd);
}

int recipient_end(struct recipient *s)
{
	int status;

	close(s->sock);
	return waitpid(s->pid, &status, 0) == s->pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

int recipient_call(struct recipient *s, enum recipient_call what, uint32_t pasid, uint32_t pt)
{
	struct wish wish = { what, pasid, pt };
	int ret;

	if (write(s->sock, &wish, sizeof(wish)) != sizeof(wish) ||
	    read(s->sock, &ret, sizeof(ret)) != sizeof(ret))
		return -EPIPE;
	return ret;
}

