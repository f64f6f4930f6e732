/* SPDX-License-Identifier: GPL-2.0-only */
/* Which vfio.ko is loaded, and small things that every test needs. */
#ifndef LIB_CORE_H
#define LIB_CORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/*
 * How long an event that must come may take, in ms: a hang, not a measure.  VFIO_EVENT_MS in
 * the environment is another limit, for cores on which events do not come.
 */
#define EVENT_MS event_ms()
int event_ms(void);

/*
 * True on the core in Rust: VFIO_CORE=rust in the environment or core=rust on
 * the kernel's command line.
 */
bool core_is_rust(void);

/* ioctl() that returns a negative errno. */
int xioctl(int fd, unsigned long cmd, void *arg);

/* Prints that @what is not as it should be; -EPROTO. */
int wrong(const char *what, long is, long should);

/* Opens a node for reading and writing; fd or -errno. */
int open_node(const char *path);
/* Closes the fd and forgets it. */
void close_fd(int *fd);

/* Waits for POLLIN.  True if it came, false after @ms. */
bool wait_readable(int fd, int ms);

/*
 * What a kernel may have been built without, as the core that is loaded shows it: groups
 * (CONFIG_VFIO_GROUP), /dev/vfio/vfio of the core's own (CONFIG_VFIO_CONTAINER) or of
 * iommufd's (CONFIG_IOMMUFD_VFIO_CONTAINER), device files and what they are bound to
 * (CONFIG_IOMMUFD), /proc.
 */
bool has_groups(void);
bool has_containers(void);
bool iommufd_has_containers(void);
bool has_iommufd(void);
bool has_procfs(void);

/* Whether the kernel itself has a function, for what nothing else shows.  Wants /proc. */
bool kernel_has(const char *function);
/* The bitmaps in which DMA logs are reported; iommufd brings them, and some drivers. */
bool has_iova_bitmaps(void);

#define NO_GROUPS	"a kernel without VFIO_GROUP"
#define NO_CONTAINERS	"a kernel without VFIO_CONTAINER"
#define NO_IOMMUFD	"a kernel without IOMMUFD"
#define NO_PROCFS	"a kernel without PROC_FS"

/* Inserts or removes a module, by its name in /proc/modules. */
int module_load(const char *name);
int module_load_with(const char *name, const char *parameters);
int module_unload(const char *name);
/* How many users a module has; -ENOENT if it is not there, or not a module. */
int module_users(const char *name);
bool module_loaded(const char *name);
/* Its file, open, where a test initramfs keeps it; else modprobe knows. */
int module_file(const char *name);

/* Anonymous pages, zeroed and present. */
void *pages_alloc(size_t size);
/* The same at a multiple of @align, and none of them present yet. */
void *pages_reserve(size_t size, size_t align);
/* Physical address behind @p, or 0 if the kernel will not tell. */
uint64_t phys_of(const void *p);

/* Two pages of which the second is not there: @size bytes fit, no more. */
void *edge_alloc(size_t size);

#endif
