// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/userfaultfd.h>

#include "core.h"
#include "uffd.h"

int stall_open(struct stall *s)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	int ret;

	s->size = getpagesize();
	s->fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (s->fd < 0)
		return -errno;
	ret = xioctl(s->fd, UFFDIO_API, &api);
	if (ret)
		return ret;
	s->page = mmap(NULL, s->size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (s->page == MAP_FAILED)
		return -errno;
	reg.range.start = (uintptr_t)s->page;
	reg.range.len = s->size;
	return xioctl(s->fd, UFFDIO_REGISTER, &reg);
}

int stall_wait(struct stall *s)
{
	struct uffd_msg msg;

	if (!wait_readable(s->fd, EVENT_MS))
		return -ETIMEDOUT;
	if (read(s->fd, &msg, sizeof(msg)) != sizeof(msg))
		return -errno;
	return msg.event == UFFD_EVENT_PAGEFAULT ? 0 : -EIO;
}

int stall_release(struct stall *s, const void *content)
{
	struct uffdio_copy copy = {
		.dst = (uintptr_t)s->page,
		.src = (uintptr_t)content,
		.len = s->size,
	};

	return xioctl(s->fd, UFFDIO_COPY, &copy);
}

void stall_close(struct stall *s)
{
	close(s->fd);
	munmap(s->page, s->size);
}
