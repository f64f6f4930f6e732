/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the C program of a sequence is made of (src/program.rs).  Each macro does as the fuzzer does, and compares a
 * result with the one that the fuzzer got: WANT is a number, FD for any descriptor, or ANY.
 *
 * A program includes this file, and has main() begin with BEGIN() and end with "return END();".
 */
#ifndef REPLAY_H
#define REPLAY_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#define FD LONG_MAX
#define ANY LONG_MIN

/* src/memory.rs */
#define PAGE 4096ul
#define SHADOW 0x20000000ul
#define WHOLE 0x20010000ul
#define READ_ONLY 0x20020000ul
#define LATE 0x20030000ul
#define MISSING 0x20040000ul
#define SIZE (2 * PAGE)
#define DMA 0x20100000ul
#define DMA_PAGES 16
#define DMA_READ_ONLY (DMA + 32 * PAGE)
#define WINDOW(n) (0x21000000ul + (n) * 16 * PAGE)
#define MEMORY_FD 190
#define UFFD (MEMORY_FD + 1)
/* src/worker.rs */
#define PROCESSES 3
#define CONTROL(process) (192 + (process))
#define FIRST_FILE 200
#define FILES 32

struct request {
	int what; /* a system call, or: */
#define RECEIVE -2
#define EXECUTE -1
	int compat;
	unsigned long args[6];
};

static pid_t workers[PROCESSES];
static int waiting[2]; /* a socket in which files wait */
static long last; /* the result of the last call */
static unsigned long placed; /* where the last argument lies */
static bool failed;

static void fatal(const char *what)
{
	printf("%s: %s\n", what, strerror(errno));
	exit(2);
}

static void check(int line, long result, long want)
{
	if (want == ANY || result == want || (want == FD && result >= 0))
		return;
	printf("line %d: %ld, not %ld\n", line, result, want);
	failed = true;
}

static void map(unsigned long at, unsigned long size, int prot, int flags, int fd, off_t offset)
{
	if (mmap((void *)at, size, prot, flags | MAP_FIXED_NOREPLACE, fd, offset) != (void *)at)
		fatal("mmap");
}

static void map_memory(void)
{
	map(SHADOW, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, MEMORY_FD, 0);
	map(WHOLE, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, MEMORY_FD, 0);
	map(READ_ONLY, SIZE, PROT_READ, MAP_SHARED, MEMORY_FD, 0);
	map(DMA, DMA_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, MEMORY_FD, SIZE);
	map(DMA_READ_ONLY, PAGE, PROT_READ, MAP_SHARED, MEMORY_FD, SIZE + DMA_PAGES * PAGE);
}

static void move_fd(int from, int to)
{
	if (dup2(from, to) != to)
		fatal("dup2");
	close(from);
}

/* Brings the pages of LATE when they are touched. */
static void *bring(void *arg)
{
	struct uffd_msg msg;

	while (read(UFFD, &msg, sizeof(msg)) == sizeof(msg)) {
		unsigned long page = msg.arg.pagefault.address & ~(PAGE - 1);
		struct uffdio_copy copy = { .dst = page, .src = page - LATE + SHADOW, .len = PAGE };

		ioctl(UFFD, UFFDIO_COPY, &copy);
	}
	return arg;
}

static void map_late(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = {
		.range = { .start = LATE, .len = SIZE }, .mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	pthread_t thread;

	map(LATE, SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	move_fd(syscall(SYS_userfaultfd, O_CLOEXEC), UFFD);
	if (ioctl(UFFD, UFFDIO_API, &api) || ioctl(UFFD, UFFDIO_REGISTER, &range))
		fatal("userfaultfd");
	if (pthread_create(&thread, NULL, bring, NULL))
		fatal("pthread_create");
}

/* Puts an argument at the end of the memory KIND, less its last MISSING_BYTES. */
static unsigned long place(unsigned long kind, size_t missing_bytes, const void *bytes, size_t size)
{
	size_t missing = missing_bytes < size ? missing_bytes : size;
	size_t offset = SIZE - size + missing;

	memcpy((void *)(SHADOW + offset), bytes, size - missing);
	if (kind == LATE)
		madvise((void *)LATE, SIZE, MADV_DONTNEED);
	placed = kind + offset;
	return placed;
}

static void compare(int line, const unsigned char *want, size_t size)
{
	const unsigned char *bytes = (const void *)placed;

	for (size_t i = 0; i < size; i++) {
		if (bytes[i] != want[i]) {
			printf("line %d: byte %zu is %#x, not %#x\n", line, i, bytes[i], want[i]);
			failed = true;
			return;
		}
	}
}

/* An ioctl by the entry for 32-bit programs. */
static long ioctl_32(const unsigned long *args)
{
	long ret;

	asm volatile("int $0x80"
		     : "=a"(ret)
		     : "a"(54), "b"(args[0]), "c"(args[1]), "d"(args[2])
		     : "r8", "r9", "r10", "r11", "memory");
	return (int)ret;
}

static long call_here(const struct request *request)
{
	const unsigned long *a = request->args;
	long ret;

	if (request->compat)
		return ioctl_32(a);
	ret = syscall(request->what, a[0], a[1], a[2], a[3], a[4], a[5]);
	return ret == -1 ? -errno : ret;
}

static void send_fd(int sock, int fd)
{
	char byte = 0, space[CMSG_SPACE(sizeof(fd))] = {};
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof(space),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	*cmsg = (struct cmsghdr){ CMSG_LEN(sizeof(fd)), SOL_SOCKET, SCM_RIGHTS };
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	if (sendmsg(sock, &msg, 0) != 1)
		fatal("sendmsg");
}

static int receive_fd(int sock)
{
	char byte, space[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = space, .msg_controllen = sizeof(space),
	};
	int fd;

	if (recvmsg(sock, &msg, 0) != 1 || !CMSG_FIRSTHDR(&msg))
		fatal("recvmsg");
	memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	return fd;
}

/* What a worker does: it serves requests until the other end of its socket is closed. */
static void serve(void)
{
	struct request request;
	long result;

	while (read(CONTROL(0), &request, sizeof(request)) == sizeof(request)) {
		switch (request.what) {
		case EXECUTE:
			execl("/proc/self/exe", "replay", "worker", NULL);
			result = -errno;
			break;
		case RECEIVE:
			move_fd(receive_fd(CONTROL(0)), request.args[0]);
			result = 0;
			break;
		default:
			result = call_here(&request);
		}
		if (write(CONTROL(0), &result, sizeof(result)) != sizeof(result))
			break;
	}
	_exit(0);
}

static long ask(int process, const struct request *request, int fd)
{
	long result;

	if (write(CONTROL(process), request, sizeof(*request)) != sizeof(*request))
		fatal("worker");
	if (fd >= 0)
		send_fd(CONTROL(process), fd);
	if (read(CONTROL(process), &result, sizeof(result)) != sizeof(result))
		fatal("worker");
	return result;
}

static void start_worker(int process)
{
	int ends[2];

	if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends))
		fatal("socketpair");
	workers[process] = fork();
	if (!workers[process]) {
		move_fd(ends[1], CONTROL(0));
		for (int fd = CONTROL(1); fd < FIRST_FILE; fd++)
			close(fd);
		close(ends[0]);
		serve();
	}
	close(ends[1]);
	move_fd(ends[0], CONTROL(process));
}

static void end_worker(int process)
{
	close(CONTROL(process));
	waitpid(workers[process], NULL, 0);
	workers[process] = 0;
}

static void begin(int argc, char **argv)
{
	bool is_worker = argc > 1 && !strcmp(argv[1], "worker");
	long done = 0;

	setvbuf(stdout, NULL, _IONBF, 0);
	if (is_worker) {
		map_memory();
		if (write(CONTROL(0), &done, sizeof(done)) == sizeof(done))
			serve();
		_exit(1);
	}
	move_fd(memfd_create("replay", 0), MEMORY_FD);
	if (ftruncate(MEMORY_FD, SIZE + (DMA_PAGES + 1) * PAGE))
		fatal("ftruncate");
	map_memory();
	map_late();
	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, waiting))
		fatal("socketpair");
}

static int end(void)
{
	for (int process = 1; process < PROCESSES; process++)
		if (workers[process])
			end_worker(process);
	for (int fd = FIRST_FILE; fd < FIRST_FILE + FILES; fd++)
		close(fd);
	printf("%s\n", failed ? "a result is another" : "all results are the same");
	return failed;
}

static long write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	long ret = fd < 0 ? -errno : 0;

	if (!ret && write(fd, text, strlen(text)) < 0)
		ret = -errno;
	if (fd >= 0)
		close(fd);
	return ret;
}

/* Copies four bytes of a mapping through a pipe to where an argument lies. */
static long touch(unsigned long window)
{
	int ends[2];
	long ret;

	if (pipe(ends))
		fatal("pipe");
	place(WHOLE, 0, "\0\0\0\0", 4);
	ret = write(ends[1], (void *)window, 4);
	ret = ret < 0 ? -errno : read(ends[0], (void *)placed, 4);
	close(ends[0]);
	close(ends[1]);
	return ret;
}

#define BEGIN() begin(argc, argv)
#define END() end()
#define RESULT(want, result) do { last = (result); check(__LINE__, last, want); } while (0)
#define PLACE(kind, missing, bytes) place(kind, missing, bytes, sizeof(bytes) - 1)
/* By PROCESS, which is 0 for this one. */
#define CALL(want, process, compat, nr, ...) do {						\
	struct request request_ = { nr, compat, { __VA_ARGS__ } };				\
	RESULT(want, (process) ? ask(process, &request_, -1) : call_here(&request_));		\
} while (0)
/* What the argument of the last call is afterwards. */
#define OUT(bytes) compare(__LINE__, (const void *)(bytes), sizeof(bytes) - 1)
#define OPEN(want, path, flags) CALL(want, 0, 0, SYS_openat, AT_FDCWD, (unsigned long)(path), flags)
#define WRITE(want, path, text) check(__LINE__, write_file(path, text), want)
/* The descriptor that the last call returned gets a number, or is closed. */
#define KEEP(fd) do { if (last >= 0) move_fd(last, fd); } while (0)
#define DROP() close(last)
/* The last call has written the descriptor into its argument. */
#define FD_AT(offset) (last = *(int *)(placed + (offset)))
/* A descriptor to which an argument points. */
#define DESCRIPTOR(fd) (*(int *)(DMA + 10 * PAGE) = (fd))
#define TOUCH(want, n) RESULT(want, touch(WINDOW(n)))
#define UNMAP(n) munmap((void *)WINDOW(n), PAGE)
#define FORK(process) start_worker(process)
#define EXIT(process) end_worker(process)
#define EXEC(process) RESULT(0, ask(process, &(struct request){ EXECUTE }, -1))
#define SEND(process, fd) RESULT(0, ask(process, &(struct request){ RECEIVE, 0, { fd } }, fd))
#define STASH(fd) send_fd(waiting[0], fd)
#define UNSTASH(fd) move_fd(receive_fd(waiting[1]), fd)

#endif
