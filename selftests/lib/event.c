// SPDX-License-Identifier: GPL-2.0-only
#include <unistd.h>

#include "core.h"
#include "event.h"

uint64_t event_take(int event)
{
	uint64_t n = 0;

	return read(event, &n, sizeof(n)) == sizeof(n) ? n : 0;
}

uint64_t event_wait(int event)
{
	return wait_readable(event, EVENT_MS) ? event_take(event) : 0;
}
