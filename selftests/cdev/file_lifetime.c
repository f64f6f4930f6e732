// SPDX-License-Identifier: GPL-2.0-only
/*
 * How long a binding lasts: as long as somebody holds the file that was bound,
 * wherever he has the file from, and not a moment longer.
 */
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>

#include "lib/cdev.h"
#include "lib/edu.h"
#include "lib/group.h"
#include "lib/iommufd.h"
#include "lib/task.h"
#include "lib/test.h"

#define NOBODY 65534
#define EXEC_FD "FILE_LIFETIME_FD"

FIXTURE(file_lifetime) {
	struct pci pci;
	struct session s;
};

FIXTURE_SETUP(file_lifetime)
{
	if (pci_find_at(EDU, false, &self->pci))
		SKIP(return, "no edu device on the root bus");
	ASSERT_EQ(0, session_open_unbound(&self->pci, &self->s));
}

FIXTURE_TEARDOWN(file_lifetime)
{
	session_close(&self->s);
}

/* The device is somebody's: neither its group nor another file gets it. */
static bool is_bound(const struct pci *pci, int iommufd)
{
	int fd = cdev_open(pci);
	int group = group_open(pci);
	int bound = group < 0 ? cdev_bind(fd, iommufd, NULL) : 0;

	if (group >= 0)
		close(group);
	close(fd);
	return group == (has_groups() ? -EBUSY : -ENOENT) && bound == -EINVAL;
}

static bool is_free(const struct pci *pci, int iommufd)
{
	int fd, ret;

	if (!group_is_free(pci))
		return false;
	fd = cdev_open(pci);
	ret = cdev_bind(fd, iommufd, NULL);
	close(fd);
	return !ret;
}

/* Waits for a child's last word, then for its end. */
static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

/* semantics: 97, 191.  Two files of one device: one of them has it. */
TEST_F(file_lifetime, two_files)
{
	int other = cdev_open(&self->pci);

	ASSERT_GE(other, 0);
	ASSERT_EQ(0, cdev_bind(self->s.fd, self->s.iommufd, NULL));
	EXPECT_EQ(-EINVAL, cdev_bind(other, self->s.iommufd, NULL));
	EXPECT_EQ(-EINVAL, device_info(other));
	close(other);
	EXPECT_EQ(0, device_info(self->s.fd));
	EXPECT_TRUE(is_bound(&self->pci, self->s.iommufd));
	other = cdev_open(&self->pci);
	close_fd(&self->s.fd);
	EXPECT_EQ(-EINVAL, device_info(other));
	EXPECT_EQ(0, cdev_bind(other, self->s.iommufd, NULL));
	EXPECT_EQ(0, device_info(other));
	close(other);
	EXPECT_TRUE(is_free(&self->pci, self->s.iommufd));
}

/* semantics: 109, 194.  A copy of the descriptor is the same file. */
TEST_F(file_lifetime, dup)
{
	int copy = dup(self->s.fd);

	ASSERT_EQ(0, cdev_bind(copy, self->s.iommufd, NULL));
	EXPECT_EQ(0, device_info(self->s.fd));
	EXPECT_EQ(-EINVAL, cdev_bind(self->s.fd, self->s.iommufd, NULL));
	close_fd(&self->s.fd);
	EXPECT_EQ(0, device_info(copy));
	EXPECT_TRUE(is_bound(&self->pci, self->s.iommufd));
	close(copy);
	EXPECT_TRUE(is_free(&self->pci, self->s.iommufd));
}

/* semantics: 194.  So is the child's. */
TEST_F(file_lifetime, fork)
{
	int to_child[2], from_child[2];
	pid_t pid;
	int ret;

	ASSERT_EQ(0, pipe(to_child));
	ASSERT_EQ(0, pipe(from_child));
	pid = fork();
	if (!pid) {
		/* Bound by the child, used by both, kept by the child. */
		ret = cdev_bind(self->s.fd, self->s.iommufd, NULL);
		(void)!write(from_child[1], &ret, sizeof(ret));
		(void)!read(to_child[0], &ret, sizeof(ret));
		ret = device_info(self->s.fd);
		(void)!write(from_child[1], &ret, sizeof(ret));
		pause();
	}
	ASSERT_EQ(sizeof(ret), read(from_child[0], &ret, sizeof(ret)));
	EXPECT_EQ(0, ret);
	EXPECT_EQ(0, device_info(self->s.fd));
	close_fd(&self->s.fd);
	EXPECT_TRUE(is_bound(&self->pci, self->s.iommufd));
	ASSERT_EQ(sizeof(ret), write(to_child[1], &ret, sizeof(ret)));
	ASSERT_EQ(sizeof(ret), read(from_child[0], &ret, sizeof(ret)));
	EXPECT_EQ(0, ret);
	end(pid);
	EXPECT_TRUE(is_free(&self->pci, self->s.iommufd));
}

/* semantics: 197.  A killed owner is as good as a close. */
TEST_F(file_lifetime, kill)
{
	for (int i = 0; i < 4; i++) {
		int ends[2], ret;
		pid_t pid;

		ASSERT_EQ(0, pipe(ends));
		pid = fork();
		if (!pid) {
			struct session s;

			close(self->s.fd);
			ret = session_open(&self->pci, &s);
			if (!ret)
				ret = ioas_map(s.iommufd, s.ioas,
					       pages_alloc(1 << 16), 1 << 16,
					       1 << 20);
			if (!ret && !cdev_map_bar(s.fd, 0, NULL))
				ret = -ENOMEM;
			(void)!write(ends[1], &ret, sizeof(ret));
			pause();
		}
		ASSERT_EQ(sizeof(ret), read(ends[0], &ret, sizeof(ret)));
		EXPECT_EQ(0, ret);
		EXPECT_TRUE(is_bound(&self->pci, self->s.iommufd));
		end(pid);
		EXPECT_TRUE(is_free(&self->pci, self->s.iommufd));
		close(ends[0]);
		close(ends[1]);
	}
}

/* In a child that is nobody: gets the descriptors, does all there is to do. */
static int as_nobody(int sock)
{
	struct vfio_region_info region;
	uint32_t devid, ioas, pt;
	int fd, iommufd, ret;
	volatile void *bar;

	if (setgid(NOBODY) || setuid(NOBODY))
		return -errno;
	fd = fd_receive(sock);
	iommufd = fd_receive(sock);
	if (fd < 0 || iommufd < 0)
		return -EBADF;
	ret = cdev_bind(fd, iommufd, &devid);
	if (ret)
		return ret;
	ret = device_info(fd);
	if (ret)
		return ret;
	ret = ioas_alloc(iommufd, &ioas);
	if (ret)
		return ret;
	pt = ioas;
	ret = cdev_attach(fd, &pt);
	if (ret)
		return ret;
	ret = cdev_region(fd, 0, &region);
	if (ret)
		return ret;
	ret = cdev_enable_dma(fd);
	if (ret)
		return ret;
	bar = cdev_map_bar(fd, 0, NULL);
	if (!bar || !edu_alive(bar))
		return -EIO;
	return cdev_detach(fd);
}

/* semantics: 194.  Nobody asks who uses the file, only who opened it. */
TEST_F(file_lifetime, passed_to_another_user)
{
	char path[128];
	int socks[2], ret;
	pid_t pid;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, socks));
	ASSERT_EQ(0, pci_cdev_path(&self->pci, path, sizeof(path)));
	pid = fork();
	if (!pid) {
		close(self->s.fd);
		close(self->s.iommufd);
		ret = as_nobody(socks[1]);
		/* The node itself is not for it. */
		if (!ret && (open(path, O_RDWR) >= 0 || errno != EACCES))
			ret = -EACCES;
		(void)!write(socks[1], &ret, sizeof(ret));
		pause();
	}
	ASSERT_EQ(0, fd_send(socks[0], self->s.fd));
	ASSERT_EQ(0, fd_send(socks[0], self->s.iommufd));
	ASSERT_EQ(sizeof(ret), read(socks[0], &ret, sizeof(ret)));
	EXPECT_EQ(0, ret);
	EXPECT_EQ(0, device_info(self->s.fd));
	close_fd(&self->s.fd);
	EXPECT_TRUE(is_bound(&self->pci, self->s.iommufd));
	end(pid);
	EXPECT_TRUE(is_free(&self->pci, self->s.iommufd));
}

/* Run in the new program: is the inherited descriptor still bound? */
static void __attribute__((constructor)) after_exec(void)
{
	const char *fd = getenv(EXEC_FD);

	if (fd)
		_exit(device_info(atoi(fd)) ? 1 : 0);
}

/* semantics: 196.  exec keeps what is not close-on-exec, and closes what is. */
TEST_F(file_lifetime, exec)
{
	if (!has_procfs())
		SKIP(return, NO_PROCFS);
	for (int keep = 0; keep < 2; keep++) {
		int status;
		pid_t pid;

		if (!keep)
			ASSERT_EQ(0, cdev_bind(self->s.fd, self->s.iommufd, NULL));
		pid = fork();
		if (!pid) {
			char number[16];

			snprintf(number, sizeof(number), "%d", self->s.fd);
			setenv(EXEC_FD, number, 1);
			fcntl(self->s.fd, F_SETFD, keep ? 0 : FD_CLOEXEC);
			execl("/proc/self/exe", "self", NULL);
			_exit(2);
		}
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		ASSERT_TRUE(WIFEXITED(status));
		EXPECT_EQ(!keep, WEXITSTATUS(status));
		EXPECT_EQ(0, device_info(self->s.fd));
	}
	close_fd(&self->s.fd);
	EXPECT_TRUE(is_free(&self->pci, self->s.iommufd));
}

/* semantics: 107, 201.  The binding has its own hold of the iommufd. */
TEST_F(file_lifetime, iommufd_closed_first)
{
	uint32_t ioas, pt;
	int other;

	ASSERT_EQ(0, ioas_alloc(self->s.iommufd, &ioas));
	ASSERT_EQ(0, cdev_bind(self->s.fd, self->s.iommufd, NULL));
	close(self->s.iommufd);
	self->s.iommufd = iommufd_open();
	EXPECT_EQ(0, device_info(self->s.fd));
	pt = ioas;
	EXPECT_EQ(0, cdev_attach(self->s.fd, &pt));
	EXPECT_EQ(0, cdev_detach(self->s.fd));
	EXPECT_TRUE(is_bound(&self->pci, self->s.iommufd));
	other = cdev_open(&self->pci);
	close_fd(&self->s.fd);
	EXPECT_EQ(0, cdev_bind(other, self->s.iommufd, NULL));
	close(other);
}

/* semantics: 198.  A mapping is a hold of the file. */
TEST_F(file_lifetime, mapping_kept)
{
	size_t size;
	void *bar = session_to_mapping(&self->s, &size);

	ASSERT_NE(NULL, bar);
	EXPECT_TRUE(edu_alive(bar));
	EXPECT_TRUE(is_bound(&self->pci, self->s.iommufd));
	EXPECT_TRUE(edu_alive(bar));
	ASSERT_EQ(0, munmap(bar, size));
	EXPECT_TRUE(is_free(&self->pci, self->s.iommufd));
}

/* semantics: 99.  Turning memory off takes it out of every mapping. */
TEST_F(file_lifetime, mappings_zapped_together)
{
	uint16_t command = 0;
	sigset_t none;
	int status;
	pid_t pid;

	sigemptyset(&none);
	ASSERT_EQ(0, cdev_bind(self->s.fd, self->s.iommufd, NULL));
	ASSERT_EQ(0, cdev_enable_dma(self->s.fd));
	for (int on = 1; on >= 0; on--) {
		volatile void *bar = cdev_map_bar(self->s.fd, 0, NULL);

		ASSERT_NE(NULL, bar);
		pid = fork();
		if (!pid) {
			/* Present in this one's tables, then gone. */
			if (!edu_alive(bar))
				_exit(1);
			if (!on)
				config_write(self->s.fd, 4, &command, 2);
			_exit(edu_alive(bar) ? 0 : 2);
		}
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		if (on) {
			EXPECT_TRUE(WIFEXITED(status));
			EXPECT_EQ(0, WEXITSTATUS(status));
		} else {
			EXPECT_TRUE(WIFSIGNALED(status));
			EXPECT_EQ(SIGBUS, WTERMSIG(status));
		}
	}
}

TEST_HARNESS_MAIN
