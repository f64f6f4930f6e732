/* SPDX-License-Identifier: GPL-2.0-only */
/* Eventfds, which do not block. */
#ifndef LIB_EVENT_H
#define LIB_EVENT_H

#include <stdint.h>

/* Takes the event: how many there were.  The first waits for one. */
uint64_t event_wait(int event);
uint64_t event_take(int event);

#endif
