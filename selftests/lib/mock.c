// SPDX-License-Identifier: GPL-2.0-only
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cdev.h"
#include "core.h"
#include "iommufd.h"
#include "mock.h"

#define DRIVER "vfio_mock"
#define DEVICE "/sys/devices/iommufd_mock%d"
#define DEVICES 16

static int test_op(int iommufd, uint32_t op, struct iommu_test_cmd *cmd)
{
	cmd->size = sizeof(*cmd);
	cmd->op = op;
	return xioctl(iommufd, IOMMU_TEST_CMD, cmd);
}

/* Which of them are there, a bit each. */
static unsigned int present(void)
{
	unsigned int there = 0;
	char path[64];

	for (int i = 0; i < DEVICES; i++) {
		snprintf(path, sizeof(path), DEVICE, i);
		if (!access(path, F_OK))
			there |= 1u << i;
	}
	return there;
}

static int attach_own(int iommufd, const struct mock *mock, uint32_t pt)
{
	struct iommu_test_cmd cmd = { .id = mock->stdev, .pasid_attach = { .pt_id = pt } };

	return test_op(iommufd, IOMMU_TEST_OP_PASID_ATTACH, &cmd);
}

static int detach_own(int iommufd, const struct mock *mock)
{
	struct iommu_test_cmd cmd = { .id = mock->stdev };

	/* PASID 0 is the device. */
	return test_op(iommufd, IOMMU_TEST_OP_PASID_DETACH, &cmd);
}

int mock_make(int iommufd, uint32_t flags, struct mock *mock)
{
	struct iommu_test_cmd cmd = { .mock_domain_flags = { .dev_flags = flags } };
	unsigned int before = present(), made;
	char parameter[64];
	uint32_t ioas;
	int ret;

	*mock = (struct mock){ .fd = -1 };
	/* It is made with a page table attached, which it need not keep. */
	ret = ioas_alloc(iommufd, &ioas);
	if (ret)
		return ret;
	cmd.id = ioas;
	ret = test_op(iommufd, IOMMU_TEST_OP_MOCK_DOMAIN_FLAGS, &cmd);
	if (ret)
		return ret == -ENOTTY ? -ENOENT : ret;
	mock->stdev = cmd.mock_domain_flags.out_stdev_id;
	made = present() & ~before;
	if (!made || made & (made - 1))
		return -ENXIO;
	snprintf(mock->path, sizeof(mock->path), DEVICE, __builtin_ctz(made));
	ret = detach_own(iommufd, mock);
	if (!ret)
		ret = iommufd_destroy(iommufd, ioas);
	if (ret)
		return ret;
	snprintf(parameter, sizeof(parameter), "device=%s", strrchr(mock->path, '/') + 1);
	return module_load_with(DRIVER, parameter);
}

int mock_bind(int iommufd, uint32_t flags, struct mock *mock)
{
	int ret = mock_make(iommufd, flags, mock);

	if (ret)
		return ret;
	mock->fd = cdev_open_below(mock->path);
	return mock->fd < 0 ? mock->fd : cdev_bind(mock->fd, iommufd, &mock->devid);
}

int mock_unload(void)
{
	return module_loaded(DRIVER) ? module_unload(DRIVER) : 0;
}

int mock_share(int iommufd, const struct mock *mock, uint32_t pt)
{
	return attach_own(iommufd, mock, pt);
}

/* ---- what is attached ---- */

static bool check_hwpt(int iommufd, const struct mock *mock, uint32_t pasid, uint32_t hwpt)
{
	struct iommu_test_cmd cmd = {
		.id = mock->stdev,
		.pasid_check = { .pasid = pasid, .hwpt_id = hwpt },
	};

	return !test_op(iommufd, IOMMU_TEST_OP_PASID_CHECK_HWPT, &cmd);
}

bool mock_has(int iommufd, const struct mock *mock, uint32_t pasid, uint32_t hwpt)
{
	/* 0 would ask for the contrary. */
	return hwpt && check_hwpt(iommufd, mock, pasid, hwpt);
}

bool mock_has_none(int iommufd, const struct mock *mock, uint32_t pasid)
{
	return check_hwpt(iommufd, mock, pasid, 0);
}

bool mock_maps(int iommufd, uint32_t hwpt, uint64_t iova, void *va, size_t size)
{
	struct iommu_test_cmd cmd = {
		.id = hwpt,
		.check_map = { .iova = iova, .length = size, .uptr = (uintptr_t)va },
	};

	return !test_op(iommufd, IOMMU_TEST_OP_MD_CHECK_MAP, &cmd);
}

/* ---- page tables of the user's ---- */

int mock_nested(int iommufd, uint32_t devid, uint32_t pt, uint32_t flags, uint32_t fault_id,
		uint32_t iotlb, uint32_t *hwpt)
{
	struct iommu_hwpt_selftest data = { .iotlb = iotlb };
	struct iommu_hwpt_alloc arg = {
		.size = sizeof(arg),
		.flags = flags,
		.dev_id = devid,
		.pt_id = pt,
		.data_type = IOMMU_HWPT_DATA_SELFTEST,
		.data_len = sizeof(data),
		.data_uptr = (uintptr_t)&data,
		.fault_id = fault_id,
	};
	int ret = xioctl(iommufd, IOMMU_HWPT_ALLOC, &arg);

	if (!ret)
		*hwpt = arg.out_hwpt_id;
	return ret;
}

bool mock_iotlb_is(int iommufd, uint32_t hwpt, uint32_t n, uint32_t want)
{
	struct iommu_test_cmd cmd = { .id = hwpt, .check_iotlb = { .id = n, .iotlb = want } };

	return !test_op(iommufd, IOMMU_TEST_OP_MD_CHECK_IOTLB, &cmd);
}

static int invalidate(int iommufd, uint32_t id, uint32_t type, void *data, uint32_t size)
{
	struct iommu_hwpt_invalidate arg = {
		.size = sizeof(arg),
		.hwpt_id = id,
		.data_uptr = (uintptr_t)data,
		.data_type = type,
		.entry_len = size,
		.entry_num = 1,
	};

	return xioctl(iommufd, IOMMU_HWPT_INVALIDATE, &arg);
}

int mock_iotlb_drop(int iommufd, uint32_t hwpt, uint32_t n)
{
	struct iommu_hwpt_invalidate_selftest data = { .iotlb_id = n };

	return invalidate(iommufd, hwpt, IOMMU_HWPT_INVALIDATE_DATA_SELFTEST, &data, sizeof(data));
}

/* ---- vIOMMUs ---- */

int mock_viommu(int iommufd, uint32_t devid, uint32_t hwpt, uint32_t *viommu)
{
	struct iommu_viommu_alloc arg = {
		.size = sizeof(arg),
		.type = IOMMU_VIOMMU_TYPE_SELFTEST,
		.dev_id = devid,
		.hwpt_id = hwpt,
	};
	int ret = xioctl(iommufd, IOMMU_VIOMMU_ALLOC, &arg);

	if (!ret)
		*viommu = arg.out_viommu_id;
	return ret;
}

int mock_vdevice(int iommufd, uint32_t viommu, uint32_t devid, uint64_t virt_id, uint32_t *vdevice)
{
	struct iommu_vdevice_alloc arg = {
		.size = sizeof(arg),
		.viommu_id = viommu,
		.dev_id = devid,
		.virt_id = virt_id,
	};
	int ret = xioctl(iommufd, IOMMU_VDEVICE_ALLOC, &arg);

	if (!ret)
		*vdevice = arg.out_vdevice_id;
	return ret;
}

int mock_cache_drop(int iommufd, uint32_t viommu, uint32_t virt_id, uint32_t n)
{
	struct iommu_viommu_invalidate_selftest data = { .vdev_id = virt_id, .cache_id = n };

	return invalidate(iommufd, viommu, IOMMU_VIOMMU_INVALIDATE_DATA_SELFTEST, &data,
			  sizeof(data));
}

bool mock_cache_is(int iommufd, uint32_t devid, uint32_t n, uint32_t want)
{
	struct iommu_test_cmd cmd = { .id = devid, .check_dev_cache = { .id = n, .cache = want } };

	return !test_op(iommufd, IOMMU_TEST_OP_DEV_CHECK_CACHE, &cmd);
}

int mock_events(int iommufd, uint32_t viommu)
{
	struct iommu_veventq_alloc arg = {
		.size = sizeof(arg),
		.viommu_id = viommu,
		.type = IOMMU_VEVENTQ_TYPE_SELFTEST,
		.veventq_depth = 8,
	};
	int ret = xioctl(iommufd, IOMMU_VEVENTQ_ALLOC, &arg);

	return ret ? ret : (int)arg.out_veventq_fd;
}

int mock_event(int iommufd, uint32_t devid)
{
	struct iommu_test_cmd cmd = { .trigger_vevent = { .dev_id = devid } };

	return test_op(iommufd, IOMMU_TEST_OP_TRIGGER_VEVENT, &cmd);
}

int mock_event_read(int events, uint32_t *virt_id)
{
	struct {
		struct iommufd_vevent_header head;
		struct iommu_viommu_event_selftest data;
	} event;

	if (!wait_readable(events, 0))
		return -EAGAIN;
	if (read(events, &event, sizeof(event)) != sizeof(event))
		return -EIO;
	*virt_id = event.data.virt_id;
	return 0;
}

/* ---- I/O page faults ---- */

int mock_faults(int iommufd, uint32_t *fault_id)
{
	struct iommu_fault_alloc arg = { .size = sizeof(arg) };
	int ret = xioctl(iommufd, IOMMU_FAULT_QUEUE_ALLOC, &arg);

	if (ret)
		return ret;
	*fault_id = arg.out_fault_id;
	return arg.out_fault_fd;
}

int mock_fault(int iommufd, uint32_t devid, uint32_t pasid, uint32_t grpid, uint64_t addr)
{
	struct iommu_test_cmd cmd = {
		.trigger_iopf = {
			.dev_id = devid,
			.pasid = pasid,
			.grpid = grpid,
			.perm = IOMMU_PGFAULT_PERM_READ | IOMMU_PGFAULT_PERM_WRITE,
			.addr = addr,
		},
	};

	return test_op(iommufd, IOMMU_TEST_OP_TRIGGER_IOPF, &cmd);
}

int mock_fault_read(int faults, struct iommu_hwpt_pgfault *fault)
{
	if (!wait_readable(faults, 0))
		return -EAGAIN;
	return read(faults, fault, sizeof(*fault)) == sizeof(*fault) ? 0 : -EIO;
}

int mock_fault_answer(int faults, uint32_t cookie)
{
	struct iommu_hwpt_page_response answer = {
		.cookie = cookie,
		.code = IOMMUFD_PAGE_RESP_SUCCESS,
	};

	return write(faults, &answer, sizeof(answer)) == sizeof(answer) ? 0 : -errno;
}
