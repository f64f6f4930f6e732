/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A user-space program in which a core, vfio.o, runs on stubs of the kernel's functions.  It counts the
 * instructions that the core executes.
 */
#ifndef QUICK_H
#define QUICK_H

#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/fs.h>
#include <linux/vfio.h>

/* quick.lds: the text of the core */

extern char inside_begin[], inside_end[];

/*
 * bench_quick.py: the symbols of the kernel for which there is no stub.  Each symbol is the address of a page that
 * is not mapped, so that each use causes a fault.  The first page is at @missing_begin.
 */

extern char missing_begin[];
extern const char *const missing_names[];
extern const unsigned long missing_count;

/* counter.c */

/* The program calls this with the number of its arguments, and the arguments. */
void begin(long argc, char **argv);
/* Returns from a signal handler. */
void restorer(void);

/* Starts and ends counting.  count_end() returns the number of instructions in the core since count_begin(). */
void count_begin(void);
unsigned long count_end(void);

void print(const char *text);
void print_number(long number);
/* Ends the program.  A stub calls this if it cannot do what the kernel does. */
void __noreturn fail(const char *text);
void __noreturn fail_result(const char *call, long result);

/* A call must have this result. */
#define EXPECT(call, expected) do {			\
		long result_ = (long)(call);		\
							\
		if (result_ != (expected))		\
			fail_result(#call, result_);	\
	} while (0)

/* Print the kernel's log, and the count of each address. */
extern bool verbose;

/* Print the locks that users of different devices share, or the counts among many devices, instead of all counts. */
extern bool only_locks, only_scaling;

/* operations.c */

#define WARM_UP	2
#define ROUNDS	3

extern unsigned long counts[ROUNDS];
extern unsigned int counted_round;

#define MEASURE(statement) do {				\
		count_begin();				\
		statement;				\
		counts[counted_round] = count_end();	\
	} while (0)

/* Runs @statement, which contains one MEASURE(...), with warm-up. */
#define OPERATION(name, statement) do {						\
		for (unsigned int i_ = 0; i_ < WARM_UP + ROUNDS; i_++) {	\
			counted_round = i_ < WARM_UP ? 0 : i_ - WARM_UP;	\
			statement;						\
		}								\
		report_rounds(name);						\
	} while (0)

void report_rounds(const char *name);
void operations(void);

/* The minors of groups: that of a physical device, that of an emulated device, and the first that is free. */
enum { PHYSICAL_GROUP, EMULATED_GROUP, FREE_GROUP };

/* locks.c */

/* The user on whose behalf the core runs: 1 or 2, or 0 for nobody. */
extern unsigned int lock_user;
/* Returns the number of locks that both users have acquired, and forgets them. */
unsigned int shared_locks(void);

/* memory.c */

/* Returns zeroed memory.  The memory is never freed, so addresses do not depend on the order of frees. */
void *allocate(size_t size);

/* devices.c */

/* Returns the device that was added with this device number. */
struct cdev *find_cdev(dev_t devt);
/* Returns the first device number of a region. */
dev_t find_region(const char *name);
struct miscdevice *find_misc(const char *name);

/* files.c */

/* Open the node of a device, and a miscellaneous device. */
struct file *node_open(dev_t devt);
struct file *misc_open(const char *name);
/* Drops the reference of the caller.  The last reference releases the file. */
void file_close(struct file *file);
/* Makes a file without an inode. */
struct file *file_make(const struct file_operations *fops, void *data);
/* Returns a file descriptor for a file.  fd_close() closes it. */
int fd_add(struct file *file);
void fd_close(unsigned int fd);

/* events.c */

/* Opens the eventfd, and returns its file descriptor. */
int eventfd_open(void);
/* Signals one event. */
void eventfd_event(void);

/* iommu.c */

/* The id of a device in an iommufd */
#define DEVICE_ID	2

struct iommufd_ctx;
/* Makes an iommufd, and returns its file descriptor. */
int iommufd_open(void);
/* Gives a device a group of its own.  Returns the id of the group. */
int iommu_group_make(struct device *dev);
/* Gives a device the group of another device. */
void iommu_group_join(struct device *dev, struct device *other);

/* driver.c */

/* The region that has a capability */
#define REGION_WITH_CAPABILITY	1

struct device *parent_make(const char *name, bool emulated);
struct vfio_device *vdev_alloc(struct device *parent, bool emulated);
void vdev_register(struct vfio_device *vdev);

/* calls.c: system calls */

#define BIND_SIZE	sizeof(struct vfio_device_bind_iommufd)

/* The file descriptor of the iommufd to which devices are bound */
extern int iommufd;

struct file *device_open(struct vfio_device *vdev);
long bind_to(struct file *file, u32 argsz, int fd);
struct file *device_open_bound(struct vfio_device *vdev);
long attach(struct file *file, u32 pt);
long detach(struct file *file);
long attach_pasid(struct file *file, u32 pasid, u32 pt);
long detach_pasid(struct file *file, u32 pasid);
/* Of a feature that no device has */
long feature_probe(struct file *file);
/* DMA logging of 256 ranges */
long logging_start(struct file *file);
long logging_stop(struct file *file);
long logging_report(struct file *file);
long file_ioctl(struct file *file, unsigned int cmd, const void *arg);
long file_read(struct file *file);
long file_write(struct file *file);
long file_mmap(struct file *file);
void file_fdinfo(struct file *file);

/* An argument of an ioctl that is a number */
const void *number(unsigned long value);

/* groups.c */

/* Register and unregister an IOMMU driver for containers, which does nothing. */
void backend_register(void);
void backend_unregister(void);
struct file *group_open(unsigned int minor);
void count_group(struct vfio_device *vdev, unsigned int minor);
void count_emulated_group(struct vfio_device *vdev, unsigned int minor);

/* exports.c: the functions that drivers and KVM call */

/* @path: how the device accesses memory, for the names of the operations. */
void count_memory(struct vfio_device *vdev, const char *path);
void count_exports(struct vfio_device *vdev);

/* shared.c: prints the number of locks that users of different devices share. */
void share_locks(void);

/* scaling.c: prints the counts of operations among 1 to 4,096 devices. */
void scaling(void);

/* Both cores define these functions. */
int init_module(void);
void cleanup_module(void);

#endif
