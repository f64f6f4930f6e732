/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Trace events of the core: /sys/kernel/tracing/events/vfio/.  There is one event for each step in
 * the life of a device file.  Except for vfio_close, the event is recorded after the step.  @err is
 * the result that user space gets: 0 or a negative errno.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM vfio

#if !defined(VFIO_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define VFIO_TRACE_H

#include <linux/tracepoint.h>

/*
 * @minor: the X of vfioX, or -1 if there is no device.  @dev: the parent's name, or "" if there is no
 * device.  @group: the open came through the group of the device.
 */
TRACE_EVENT(vfio_open,
	TP_PROTO(int minor, const char *dev, bool group, int err),
	TP_ARGS(minor, dev, group, err),
	TP_STRUCT__entry(
		__field(int, minor)
		__string(dev, dev)
		__field(bool, group)
		__field(int, err)
	),
	TP_fast_assign(
		__entry->minor = minor;
		__assign_str(dev);
		__entry->group = group;
		__entry->err = err;
	),
	TP_printk("minor=%d dev=%s access=%s err=%d", __entry->minor, __get_str(dev),
		  __entry->group ? "group" : "cdev", __entry->err)
);

/* @iommufd: the file descriptor, or -1 if it was not read.  @devid: 0 after a failure. */
TRACE_EVENT(vfio_bind,
	TP_PROTO(int minor, const char *dev, int iommufd, u32 devid, int err),
	TP_ARGS(minor, dev, iommufd, devid, err),
	TP_STRUCT__entry(
		__field(int, minor)
		__string(dev, dev)
		__field(int, iommufd)
		__field(u32, devid)
		__field(int, err)
	),
	TP_fast_assign(
		__entry->minor = minor;
		__assign_str(dev);
		__entry->iommufd = iommufd;
		__entry->devid = devid;
		__entry->err = err;
	),
	TP_printk("minor=%d dev=%s iommufd=%d devid=%u err=%d", __entry->minor, __get_str(dev),
		  __entry->iommufd, __entry->devid, __entry->err)
);

/*
 * @pasid: 0 for the device itself.  @pt_id: the id that user space requested.  @used: the id of the
 * attached page table, or 0 after a failure.
 */
TRACE_EVENT(vfio_attach,
	TP_PROTO(int minor, const char *dev, u32 pasid, u32 pt_id, u32 used, int err),
	TP_ARGS(minor, dev, pasid, pt_id, used, err),
	TP_STRUCT__entry(
		__field(int, minor)
		__string(dev, dev)
		__field(u32, pasid)
		__field(u32, pt_id)
		__field(u32, used)
		__field(int, err)
	),
	TP_fast_assign(
		__entry->minor = minor;
		__assign_str(dev);
		__entry->pasid = pasid;
		__entry->pt_id = pt_id;
		__entry->used = used;
		__entry->err = err;
	),
	TP_printk("minor=%d dev=%s pasid=%u pt_id=%u used=%u err=%d", __entry->minor,
		  __get_str(dev), __entry->pasid, __entry->pt_id, __entry->used, __entry->err)
);

/*
 * @pasid: for vfio_detach, the PASID, or 0 for the device itself.  For the other events, the PASID of
 * the process, or 0 after a failure.
 */
DECLARE_EVENT_CLASS(vfio_pasid,
	TP_PROTO(int minor, const char *dev, u32 pasid, int err),
	TP_ARGS(minor, dev, pasid, err),
	TP_STRUCT__entry(
		__field(int, minor)
		__string(dev, dev)
		__field(u32, pasid)
		__field(int, err)
	),
	TP_fast_assign(
		__entry->minor = minor;
		__assign_str(dev);
		__entry->pasid = pasid;
		__entry->err = err;
	),
	TP_printk("minor=%d dev=%s pasid=%u err=%d", __entry->minor, __get_str(dev),
		  __entry->pasid, __entry->err)
);

DEFINE_EVENT(vfio_pasid, vfio_detach,
	TP_PROTO(int minor, const char *dev, u32 pasid, int err),
	TP_ARGS(minor, dev, pasid, err)
);

DEFINE_EVENT(vfio_pasid, vfio_bind_process,
	TP_PROTO(int minor, const char *dev, u32 pasid, int err),
	TP_ARGS(minor, dev, pasid, err)
);

DEFINE_EVENT(vfio_pasid, vfio_unbind_process,
	TP_PROTO(int minor, const char *dev, u32 pasid, int err),
	TP_ARGS(minor, dev, pasid, err)
);

/* Recorded before the close.  A close does not fail: @err is 0, so that all events have @err. */
TRACE_EVENT(vfio_close,
	TP_PROTO(int minor, const char *dev, bool group, bool bound, int err),
	TP_ARGS(minor, dev, group, bound, err),
	TP_STRUCT__entry(
		__field(int, minor)
		__string(dev, dev)
		__field(bool, group)
		__field(bool, bound)
		__field(int, err)
	),
	TP_fast_assign(
		__entry->minor = minor;
		__assign_str(dev);
		__entry->group = group;
		__entry->bound = bound;
		__entry->err = err;
	),
	TP_printk("minor=%d dev=%s access=%s bound=%s err=%d", __entry->minor, __get_str(dev),
		  __entry->group ? "group" : "cdev", __entry->bound ? "yes" : "no", __entry->err)
);

#endif /* VFIO_TRACE_H */

/* Outside of the include guard, because define_trace.h includes this file again. */
#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE vfio_trace
#include <trace/define_trace.h>
