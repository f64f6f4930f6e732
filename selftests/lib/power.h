/* SPDX-License-Identifier: GPL-2.0-only */
/* Runtime power management, as sysfs tells it and as the user of a device asks for it. */
#ifndef LIB_POWER_H
#define LIB_POWER_H

#include <stdbool.h>
#include <stdint.h>

#include "sysfs.h"

/* Is the device "active", "suspended"? */
bool power_is(const struct pci *pci, const char *want);
/* The same, if it takes its time: suspending happens behind one's back. */
bool power_becomes(const struct pci *pci, const char *want);
/* VFIO_DEVICE_FEATURE_LOW_POWER_*: @wakeup is for the one that wants it. */
int low_power(int fd, uint32_t feature, int wakeup);

#endif
