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

static int stall_make(struct stall *s, uint64_t mode, int pages_before)
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
	s->before = pages_before * s->size;
	s->page = mmap(NULL, s->before + s->size, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (s->page == MAP_FAILED)
		return -errno;
	memset(s->page, 0, s->before);
	s->page += s->before;
	reg.range.start = (uintptr_t)s->page;
	reg.range.len = s->size;
	return xioctl(s->fd, UFFDIO_REGISTER, &reg);
}

int stall_open(struct stall *s)
{
	return stall_make(s, UFFDIO_REGISTER_MODE_MISSING, 0);
}

int stall_open_second(struct stall *s)
{
	return stall_make(s, UFFDIO_REGISTER_MODE_MISSING, 1);
}

static int protect(struct stall *s, uint64_t mode)
{
	struct uffdio_writeprotect wp = {
		.range = { (uintptr_t)s->page, s->size },
		.mode = mode,
	};

	return xioctl(s->fd, UFFDIO_WRITEPROTECT, &wp);
}

static int stall_make_write(struct stall *s, const void *content, size_t size, int pages_before)
{
	int ret = stall_make(s, UFFDIO_REGISTER_MODE_WP, pages_before);

	if (ret)
		return ret;
	/* A page that nobody has touched would not be protected. */
	memset(s->page, 0, s->size);
	memcpy(s->page, content, size);
	return protect(s, UFFDIO_WRITEPROTECT_MODE_WP);
}

int stall_open_write(struct stall *s, const void *content, size_t size)
{
	return stall_make_write(s, content, size, 0);
}

int stall_open_second_write(struct stall *s, const void *content, size_t size)
{
	return stall_make_write(s, content, size, 1);
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
	munmap(s->page - s->before, s->before + s->size);
}

int stalled_read(void *call)
{
	struct stalled_read *this = call;
	ssize_t n = read(this->fd, this->stall->page, this->stall->size);

	return n < 0 ? -errno : n;
}
