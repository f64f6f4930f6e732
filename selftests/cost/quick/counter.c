// SPDX-License-Identifier: GPL-2.0-only
/*
 * Counts the instructions that the core executes.
 *
 * While other code runs, the text of the core is not executable.  A call of the core causes a page fault.  The
 * handler makes the text executable and sets the trap flag, so a trap follows each instruction.  When the core
 * calls a stub or returns, the handler clears the flag and makes the text non-executable again.  Stubs are not
 * single-stepped.
 */
#include <linux/mman.h>
#include <linux/signal.h>
#include <asm/processor-flags.h>
#include <asm/sigframe.h>
#include <asm/unistd.h>

#include "quick.h"

/* Counters of the addresses of the core.  count_end() clears them. */
static u32 executed[1 << 18];
static bool counting;
bool verbose;
bool only_locks, only_scaling;

static long syscall(long number, long first, long second, long third, long fourth)
{
	register long r10 asm("r10") = fourth;
	long ret;

	asm volatile("syscall" : "=a"(ret) : "a"(number), "D"(first), "S"(second), "d"(third), "r"(r10)
		     : "rcx", "r11", "memory");
	return ret;
}

void print(const char *text)
{
	syscall(__NR_write, 1, (long)text, __builtin_strlen(text), 0);
}

static void print_base(unsigned long number, unsigned int base)
{
	char text[24], *p = text + sizeof(text);

	*--p = 0;
	do
		*--p = "0123456789abcdef"[number % base];
	while (number /= base);
	print(p);
}

void print_number(long number)
{
	if (number < 0)
		print("-");
	print_base(number < 0 ? -number : number, 10);
}

static void __noreturn end(int status)
{
	for (;;)
		syscall(__NR_exit_group, status, 0, 0, 0);
}

void __noreturn fail(const char *text)
{
	print("failed: ");
	print(text);
	print("\n");
	end(1);
}

void __noreturn fail_result(const char *call, long result)
{
	print("failed: the result is ");
	print_number(result);
	print(": ");
	print(call);
	print("\n");
	end(1);
}

static void protect(int protection)
{
	if (syscall(__NR_mprotect, (long)inside_begin, inside_end - inside_begin, protection, 0))
		fail("mprotect");
}

static bool is_inside(unsigned long address)
{
	return address >= (unsigned long)inside_begin && address < (unsigned long)inside_end;
}

/* Is this a string instruction with a repeat prefix? */
static bool repeats(const u8 *code)
{
	if (code[0] != 0xf2 && code[0] != 0xf3)
		return false;
	code += (code[1] & 0xf0) == 0x40 ? 2 : 1;
	return (code[0] >= 0xa4 && code[0] <= 0xa7) || (code[0] >= 0xaa && code[0] <= 0xaf);
}

static void count(struct ucontext *uc)
{
	static unsigned long last;
	unsigned long ip = uc->uc_mcontext.ip;

	/*
	 * A trap follows each repetition of a string instruction.  QEMU executes the instruction once more, to
	 * find that no repetition is left.  "make bench" counts this, so it is counted here.
	 */
	if (ip != last && repeats((const u8 *)ip))
		executed[ip - (unsigned long)inside_begin]++;
	executed[ip - (unsigned long)inside_begin]++;
	last = ip;
}

static void on_fault(int signal, siginfo_t *info, struct ucontext *uc)
{
	unsigned long ip = uc->uc_mcontext.ip, address = (unsigned long)info->si_addr;

	if (signal == SIGSEGV && address - (unsigned long)missing_begin < missing_count * PAGE_SIZE) {
		print("there is no stub of ");
		print(missing_names[(address - (unsigned long)missing_begin) / PAGE_SIZE]);
		print("\n");
		end(1);
	}
	if (signal != SIGSEGV || !counting || !is_inside(ip) || address != ip) {
		print("signal ");
		print_number(signal);
		print(" at 0x");
		print_base(ip, 16);
		print(", address 0x");
		print_base(address, 16);
		print(", called from about 0x");
		print_base(*(unsigned long *)uc->uc_mcontext.sp, 16);
		print("\n");
		end(1);
	}
	protect(PROT_READ | PROT_EXEC);
	uc->uc_mcontext.flags |= X86_EFLAGS_TF;
	count(uc);
}

static void on_trap(int signal, siginfo_t *info, struct ucontext *uc)
{
	if (is_inside(uc->uc_mcontext.ip)) {
		count(uc);
		return;
	}
	uc->uc_mcontext.flags &= ~X86_EFLAGS_TF;
	protect(PROT_READ);
}

asm(".pushsection .text\n"
	".globl restorer\n"
	"restorer:\n"
	"	mov $" __stringify(__NR_rt_sigreturn) ", %eax\n"
	"	syscall\n"
	".globl _start\n"
	"_start:\n"
	"	xor %ebp, %ebp\n"
	"	mov (%rsp), %rdi\n"
	"	lea 8(%rsp), %rsi\n"
	"	and $-16, %rsp\n"
	"	call begin\n"
	"	ud2\n"
	".popsection\n");

static void handle(int signal, void (*handler)(int signal, siginfo_t *info, struct ucontext *uc))
{
	struct sigaction action = {
		.sa_handler = (__force __sighandler_t)(unsigned long)handler,
		.sa_flags = SA_SIGINFO | SA_RESTORER | SA_NODEFER,
		.sa_restorer = restorer,
	};

	if (syscall(__NR_rt_sigaction, signal, (long)&action, 0, sizeof(action.sa_mask)))
		fail("rt_sigaction");
}

void count_begin(void)
{
	counting = true;
	protect(PROT_READ);
}

unsigned long count_end(void)
{
	unsigned long sum = 0;

	counting = false;
	protect(PROT_READ | PROT_EXEC);
	if (verbose)
		print("round\n");
	for (unsigned long i = 0; i < inside_end - inside_begin; i++) {
		if (executed[i] && verbose) {
			print("  0x");
			print_base((unsigned long)inside_begin + i, 16);
			print(" ");
			print_number(executed[i]);
			print("\n");
		}
		sum += executed[i];
		executed[i] = 0;
	}
	return sum;
}

void begin(long argc, char **argv)
{
	verbose = argc > 1 && !strcmp(argv[1], "-v");
	only_locks = argc > 1 && !strcmp(argv[1], "-l");
	only_scaling = argc > 1 && !strcmp(argv[1], "-s");
	if (inside_end - inside_begin > ARRAY_SIZE(executed))
		fail("the core has more text than there are counters");
	handle(SIGSEGV, on_fault);
	handle(SIGBUS, on_fault);
	handle(SIGILL, on_fault);
	handle(SIGTRAP, on_trap);
	operations();
	end(0);
}
