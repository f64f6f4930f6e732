/* SPDX-License-Identifier: GPL-2.0-only */
/* The fixture of the programs about emulated devices (emulated.h). */
#ifndef LIB_EMULATED_FIXTURE_H
#define LIB_EMULATED_FIXTURE_H

#include "emulated.h"
#include "test.h"

FIXTURE(emulated) {
	struct emulated e;
};

FIXTURE_SETUP(emulated)
{
	int ret = emulated_open(&self->e);

	if (self->e.drv == -ENOENT)
		SKIP(return, NO_TESTDRV);
	ASSERT_EQ(0, ret);
}

FIXTURE_TEARDOWN(emulated)
{
	EXPECT_EQ(0, emulated_close(&self->e));
}

#endif
