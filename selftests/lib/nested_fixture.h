/* SPDX-License-Identifier: GPL-2.0-only */
/* The fixture of the programs about nested page tables (nested.h). */
#ifndef LIB_NESTED_FIXTURE_H
#define LIB_NESTED_FIXTURE_H

#include "nested.h"
#include "test.h"

FIXTURE(nested) {
	struct nested n;
};

FIXTURE_SETUP(nested)
{
	int ret;

	if (!has_iommufd())
		SKIP(return, NO_IOMMUFD);
	ret = nested_open(&self->n);
	if (ret == -ENOENT)
		SKIP(return, NO_MOCK);
	ASSERT_EQ(0, ret);
}

FIXTURE_TEARDOWN(nested)
{
	EXPECT_EQ(0, nested_close(&self->n));
}

/* Does the device have exactly these tables?  As nested_has(). */
#define HAS(mock, ...) nested_has(self->n.ifd, mock, &(struct tables){ { __VA_ARGS__ } })

#endif
