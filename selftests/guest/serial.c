// SPDX-License-Identifier: GPL-2.0-only
/*
 * A serial port that sends back what it gets, as mtty does, from inside of a guest:
 *
 *   serial echo TTY ROUNDS     through the kernel's driver, with interrupts
 *   serial stream REGISTERS    without them and without end, by the file of a BAR in
 *                              sysfs; some bytes are always in the device, unread
 *
 * Both print how far they are.  mtty forgets an interrupt that is in flight when it
 * migrates, so that only the second is for then.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <termios.h>
#include <unistd.h>
#include <linux/serial_reg.h>

/* What takes so long has failed. */
#define PATIENCE_MS	120000

/* Less than the device holds. */
#define BLOCK		8

#define SCRATCH		0x5a

static int wrong(const char *what)
{
	printf("%s (errno %d)\n", what, errno);
	return 1;
}

static int read_all(int fd, char *buf, size_t size)
{
	size_t got = 0;

	while (got < size) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		ssize_t n;

		if (poll(&p, 1, PATIENCE_MS) != 1)
			return -1;
		n = read(fd, buf + got, size - got);
		if (n <= 0)
			return -1;
		got += n;
	}
	return 0;
}

static int echo(const char *tty, int rounds)
{
	struct termios t;
	int fd = open(tty, O_RDWR | O_NOCTTY);

	if (fd < 0 || tcgetattr(fd, &t))
		return wrong("the terminal does not open");
	cfmakeraw(&t);
	t.c_cflag |= CLOCAL | CREAD;
	if (tcsetattr(fd, TCSANOW, &t) || tcflush(fd, TCIOFLUSH))
		return wrong("the terminal cannot be set");
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (int i = 1; i <= rounds; i++) {
		char out[BLOCK], in[BLOCK];

		if (getrandom(out, sizeof(out), 0) != sizeof(out))
			return wrong("no random numbers");
		if (write(fd, out, sizeof(out)) != sizeof(out))
			return wrong("the terminal takes no data");
		if (read_all(fd, in, sizeof(in)))
			return wrong("the data do not come back");
		if (memcmp(out, in, sizeof(in)))
			return wrong("other data came back");
		printf("%d bytes came back\n", i * BLOCK);
	}
	close(fd);
	return 0;
}

static int get(int fd, int reg)
{
	unsigned char value;

	return pread(fd, &value, 1, reg) == 1 ? value : -1;
}

static int set(int fd, int reg, unsigned char value)
{
	return pwrite(fd, &value, 1, reg) == 1 ? 0 : -1;
}

static int stream(const char *registers)
{
	int fd = open(registers, O_RDWR);

	if (fd < 0 || set(fd, UART_IER, 0) || set(fd, UART_SCR, SCRATCH) ||
	    set(fd, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR))
		return wrong("the registers cannot be written");
	setvbuf(stdout, NULL, _IOLBF, 0);
	for (unsigned int sent = 0;; sent++) {
		if (set(fd, UART_TX, sent))
			return wrong("the registers cannot be written");
		if (sent < BLOCK)
			continue;
		if (!(get(fd, UART_LSR) & UART_LSR_DR))
			return wrong("the bytes sent are lost");
		if (get(fd, UART_RX) != (unsigned char)(sent - BLOCK))
			return wrong("another byte came back");
		if (get(fd, UART_SCR) != SCRATCH)
			return wrong("the scratch register has another value");
		if (sent % 16 == 0)
			printf("%u bytes came back\n", sent - BLOCK);
	}
}

int main(int argc, char **argv)
{
	if (argc == 4 && !strcmp(argv[1], "echo"))
		return echo(argv[2], atoi(argv[3]));
	if (argc == 3 && !strcmp(argv[1], "stream"))
		return stream(argv[2]);
	return 2;
}
