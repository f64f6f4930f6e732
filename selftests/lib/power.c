// SPDX-License-Identifier: GPL-2.0-only
#include <poll.h>
#include <string.h>

#include <linux/vfio.h>

#include "core.h"
#include "power.h"

bool power_is(const struct pci *pci, const char *want)
{
	char status[32] = "";

	return pci_attr(pci, "power/runtime_status", status,
			sizeof(status)) > 0 && !strcmp(status, want);
}

bool power_becomes(const struct pci *pci, const char *want)
{
	for (int ms = 0; ms < EVENT_MS; ms += 10) {
		if (power_is(pci, want))
			return true;
		poll(NULL, 0, 10);
	}
	return false;
}

int low_power(int fd, uint32_t feature, int wakeup)
{
	struct {
		struct vfio_device_feature head;
		struct vfio_device_low_power_entry_with_wakeup entry;
	} arg = {
		.head = {
			.argsz = sizeof(arg),
			.flags = VFIO_DEVICE_FEATURE_SET | feature,
		},
		.entry.wakeup_eventfd = wakeup,
	};

	return xioctl(fd, VFIO_DEVICE_FEATURE, &arg);
}
