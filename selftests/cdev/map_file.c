// SPDX-License-Identifier: GPL-2.0-only
/*
 * map_file IOMMUFD FILE IOVA: makes an I/O address space with the file's first page
 * at IOVA, and writes its id to standard output.  The descriptors are inherited.
 */
#include <stdlib.h>
#include <unistd.h>

#include "lib/core.h"
#include "lib/iommufd.h"

int main(int argc, char **argv)
{
	struct iommu_ioas_map_file map = {
		.size = sizeof(map),
		.flags = IOMMU_IOAS_MAP_FIXED_IOVA | IOMMU_IOAS_MAP_READABLE |
			 IOMMU_IOAS_MAP_WRITEABLE,
		.length = 4096,
	};
	int iommufd;

	if (argc != 4)
		return 2;
	iommufd = atoi(argv[1]);
	map.fd = atoi(argv[2]);
	map.iova = strtoull(argv[3], NULL, 0);
	if (ioas_alloc(iommufd, &map.ioas_id) ||
	    xioctl(iommufd, IOMMU_IOAS_MAP_FILE, &map))
		return 1;
	return write(STDOUT_FILENO, &map.ioas_id, sizeof(map.ioas_id)) !=
	       sizeof(map.ioas_id);
}
