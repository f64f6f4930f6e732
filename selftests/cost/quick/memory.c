// SPDX-License-Identifier: GPL-2.0-only
/* Memory: allocations, which are not reused, and copies from and to user space. */
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "quick.h"

/* A crowd of devices takes most of it: see scaling.c. */
static char heap[768 << 20] __aligned(4096);
static size_t used;

kmem_buckets kmalloc_caches[NR_KMALLOC_TYPES];

/* The size is before the object, for krealloc(). */
#define HEAD	64

void *allocate(size_t size)
{
	char *object = heap + used + HEAD;

	/* Objects of a power of two are aligned to their size up to a page, as those of kmalloc() are. */
	if (size && size < PAGE_SIZE && is_power_of_2(size))
		object = PTR_ALIGN(object, max(size, 64UL));
	used = object - heap + ALIGN(size, 64);
	if (used > sizeof(heap))
		fail("no memory");
	((size_t *)object)[-1] = size;
	return object;
}

void *__kmalloc_cache_noprof(struct kmem_cache *cache, gfp_t flags, size_t size)
{
	return allocate(size);
}

void *__kmalloc_noprof(DECL_TOKEN_PARAMS(size, token), gfp_t flags)
{
	return allocate(size);
}

void *__kmalloc_node_track_caller_noprof(DECL_KMALLOC_PARAMS(size, buckets, token), gfp_t flags, int node,
					 unsigned long caller)
{
	return allocate(size);
}

void *__kvmalloc_node_noprof(size_t size, unsigned long align, gfp_t flags, int node)
{
	return allocate(size);
}

void *kmem_cache_alloc_lru_noprof(struct kmem_cache *cache, struct list_lru *lru, gfp_t flags)
{
	/* The nodes of the xarray are the only objects of a cache. */
	return allocate(1024);
}

void *krealloc_node_align_noprof(const void *object, size_t size, unsigned long align, gfp_t flags, int node)
{
	size_t old = ZERO_OR_NULL_PTR(object) ? 0 : ((const size_t *)object)[-1];
	void *moved;

	if (!size)
		return ZERO_SIZE_PTR;
	moved = allocate(size);
	memcpy(moved, object, min(old, size));
	return moved;
}

void kfree(const void *object)
{
}

void kvfree(const void *object)
{
}

unsigned long _copy_from_user(void *to, const void __user *from, unsigned long size)
{
	memcpy(to, (__force const void *)from, size);
	return 0;
}

unsigned long _copy_to_user(void __user *to, const void *from, unsigned long size)
{
	memcpy((__force void *)to, from, size);
	return 0;
}

/* The address is in rax; rax returns the error, and rdx the value. */
asm(".pushsection .text\n"
	".globl __get_user_4\n"
	"__get_user_4:\n"
	"	mov (%rax), %edx\n"
	"	xor %eax, %eax\n"
	"	ret\n"
	".popsection\n");

char *strndup_user(const char __user *from, long size)
{
	size_t length = strnlen((__force const char *)from, size) + 1;
	char *copy = allocate(length);

	return memcpy(copy, (__force const char *)from, length);
}

#undef memcpy
#undef memset

void *memcpy(void *to, const void *from, size_t size)
{
	void *start = to;

	asm volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(size) : : "memory");
	return start;
}

void *memset(void *to, int byte, size_t size)
{
	void *start = to;

	asm volatile("rep stosb" : "+D"(to), "+c"(size) : "a"(byte) : "memory");
	return start;
}
