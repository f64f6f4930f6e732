// SPDX-License-Identifier: GPL-2.0-only
#include "core.h"
#include "pasid_probe.h"
#include "sva_pair.h"
#include "sva_test.h"

const char *sva_pair_open(struct sva_pair *sva)
{
	sva->control = sva_devices(&sva->a, &sva->b);
	return no_sva_devices(sva->control) ? NO_SVA_DEVICES : NULL;
}

const char *sva_pair_open_rust(struct sva_pair *sva)
{
	return core_is_rust() ? sva_pair_open(sva) : NO_PROCESSES;
}

int sva_pair_close(struct sva_pair *sva)
{
	sva_test_close(sva->control);
	return entries_are(&sva->a, 0) && entries_are(&sva->b, 0) ? 0 : -EBUSY;
}
