// SPDX-License-Identifier: GPL-2.0-only
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "core.h"
#include "sysfs.h"
#include "testiommu.h"

int testiommu_set(const char *parameter, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), TESTIOMMU_PARAMETERS "%s", parameter);
	return sysfs_write(path, value);
}

bool testiommu_held(void)
{
	char text[16];

	for (int ms = 0; ms < EVENT_MS; ms += 10) {
		if (sysfs_read(TESTIOMMU_PARAMETERS "held", text, sizeof(text)) > 0 &&
		    atoi(text) == 1)
			return true;
		poll(NULL, 0, 10);
	}
	return false;
}
