// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/userfaultfd.h>

#include "core.h"
#include "uffd.h"

static int stall_make(struct stall *s, uint64_t mode)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = mode };
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

int stall_open(struct stall *s)
{
	return stall_make(s, UFFDIO_REGISTER_MODE_MISSING);
}

static int protect(struct stall *s, uint64_t mode)
{
	struct uffdio_writeprotect wp = {
		.range = { (uintptr_t)s->page, s->size },
		.mode = mode,
	};

	return xioctl(s->fd, UFFDIO_WRITEPROTECT, &wp);
}

int stall_open_write(struct stall *s, const void *content, size_t size)
{
	int ret = stall_make(s, UFFDIO_REGISTER_MODE_WP);

	if (ret)
		return ret;
	memcpy(s->page, content, size);
	return protect(s, UFFDIO_WRITEPROTECT_MODE_WP);
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

int stall_release_write(struct stall *s)
{
	return protect(s, 0);
}

int stall_revoke(struct stall *s)
{
	struct uffdio_range range = { (uintptr_t)s->page, s->size };

	if (munmap(s->page, s->size))
		return -errno;
	return xioctl(s->fd, UFFDIO_WAKE, &range);
}

void stall_close(struct stall *s)
{
	close(s->fd);
	munmap(s->page, s->size);
}

int stalled_read(void *call)
{
	struct stalled_read *this = call;
	ssize_t n = read(this->fd, this->stall->page, this->stall->size);

	return n < 0 ? -errno : n;
}
