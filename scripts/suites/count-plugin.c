// SPDX-License-Identifier: GPL-2.0-only
/*
 * A plugin for QEMU's TCG: counts the instructions that the guest executes in its kernel's
 * modules, by page, and writes the counts when the guest executes a mark.
 *
 * A mark is the instruction "nopl 0x7f10NNNN(%rax)", which does nothing anywhere else; NNNN is its
 * number.  Each writes a line "NNNN page:count page:count ..." of the pages that were executed.
 *
 * Debian packages no header of the plugin interface: what is used of it is declared here.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPORT __attribute__((visibility("default")))

/* x86-64: where modules are when the kernel's address is not random. */
#define FIRST	0xffffffffa0000000ULL
#define LAST	0xffffffffff000000ULL
#define PAGES	((LAST - FIRST) >> 12)

struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef void (*trans_cb)(uintptr_t first, uintptr_t second);
typedef void (*exec_cb)(unsigned int vcpu, void *data);

void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, trans_cb cb, void *data);
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *insn, exec_cb cb, int flags, void *data);
size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t index);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);
size_t qemu_plugin_insn_data(const struct qemu_plugin_insn *insn, void *data, size_t size);

EXPORT int qemu_plugin_version = 7;

static uint64_t *counts;
static FILE *out;
static char cookie;

static void count(unsigned int vcpu, void *data)
{
	++*(uint64_t *)data;
}

static void mark(unsigned int vcpu, void *data)
{
	fprintf(out, "%" PRIuPTR, (uintptr_t)data);
	for (size_t i = 0; i < PAGES; i++)
		if (counts[i])
			fprintf(out, " %" PRIx64 ":%" PRIu64, (uint64_t)(FIRST + (i << 12)), counts[i]);
	fputc('\n', out);
	fflush(out);
}

static void translated(uintptr_t first, uintptr_t second)
{
	/* (id, block) in older versions of the interface, (block, data) in newer ones. */
	struct qemu_plugin_tb *tb = (void *)(second == (uintptr_t)&cookie ? first : second);
	size_t n = qemu_plugin_tb_n_insns(tb);

	for (size_t i = 0; i < n; i++) {
		struct qemu_plugin_insn *insn = qemu_plugin_tb_get_insn(tb, i);
		uint64_t address = qemu_plugin_insn_vaddr(insn);
		uint8_t code[7];

		if (address >= FIRST && address < LAST) {
			qemu_plugin_register_vcpu_insn_exec_cb(insn, count, 0, &counts[(address - FIRST) >> 12]);
		} else if (address < 1ULL << 47 && qemu_plugin_insn_size(insn) == sizeof(code) &&
			   qemu_plugin_insn_data(insn, code, sizeof(code)) == sizeof(code) &&
			   !memcmp(code, "\x0f\x1f\x80", 3) && code[5] == 0x10 && code[6] == 0x7f) {
			uintptr_t number = code[3] | code[4] << 8;

			qemu_plugin_register_vcpu_insn_exec_cb(insn, mark, 0, (void *)number);
		}
	}
}

EXPORT int qemu_plugin_install(uint64_t id, const void *info, int argc, char **argv)
{
	if (argc != 1 || strncmp(argv[0], "out=", 4))
		return -1;
	out = fopen(argv[0] + 4, "w");
	counts = calloc(PAGES, sizeof(*counts));
	if (!out || !counts)
		return -1;
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated, &cookie);
	return 0;
}
