/* SPDX-License-Identifier: GPL-2.0-only */
/* The exports of vfio_main.c of the in-tree core. */

FUNCTION(EXPORT_SYMBOL_GPL, int, vfio_assign_device_set,
	 struct vfio_device *device, void *set_id);
FUNCTION(EXPORT_SYMBOL_GPL, unsigned int, vfio_device_set_open_count,
	 struct vfio_device_set *dev_set);
FUNCTION(EXPORT_SYMBOL_GPL, struct vfio_device *, vfio_find_device_in_devset,
	 struct vfio_device_set *dev_set, struct device *dev);
FUNCTION(EXPORT_SYMBOL_GPL, void, vfio_device_put_registration,
	 struct vfio_device *device);
FUNCTION(EXPORT_SYMBOL_GPL, bool, vfio_device_try_get_registration,
	 struct vfio_device *device);
FUNCTION(EXPORT_SYMBOL_GPL, struct vfio_device *, _vfio_alloc_device,
	 size_t size, struct device *dev, const struct vfio_device_ops *ops);
FUNCTION(EXPORT_SYMBOL_GPL, int, vfio_register_group_dev,
	 struct vfio_device *device);
FUNCTION(EXPORT_SYMBOL_GPL, int, vfio_register_emulated_iommu_dev,
	 struct vfio_device *device);
FUNCTION(EXPORT_SYMBOL_GPL, void, vfio_unregister_group_dev,
	 struct vfio_device *device);
FUNCTION(EXPORT_SYMBOL_GPL, int, vfio_mig_get_next_state,
	 struct vfio_device *device, enum vfio_device_mig_state cur_fsm,
	 enum vfio_device_mig_state new_fsm, enum vfio_device_mig_state *next_fsm);
FUNCTION(EXPORT_SYMBOL_GPL, void, vfio_combine_iova_ranges,
	 struct rb_root_cached *root, u32 cur_nodes, u32 req_nodes);
FUNCTION(EXPORT_SYMBOL_GPL, bool, vfio_file_is_valid,
	 struct file *file);
FUNCTION(EXPORT_SYMBOL_GPL, bool, vfio_file_enforced_coherent,
	 struct file *file);
FUNCTION(EXPORT_SYMBOL_GPL, void, vfio_file_set_kvm,
	 struct file *file, struct kvm *kvm);
FUNCTION(EXPORT_SYMBOL_GPL, struct vfio_info_cap_header *, vfio_info_cap_add,
	 struct vfio_info_cap *caps, size_t size, u16 id, u16 version);
FUNCTION(EXPORT_SYMBOL, void, vfio_info_cap_shift,
	 struct vfio_info_cap *caps, size_t offset);
FUNCTION(EXPORT_SYMBOL, int, vfio_info_add_capability,
	 struct vfio_info_cap *caps, struct vfio_info_cap_header *cap, size_t size);
FUNCTION(EXPORT_SYMBOL, int, vfio_set_irqs_validate_and_prepare,
	 struct vfio_irq_set *hdr, int num_irqs, int max_irq_type, size_t *data_size);
FUNCTION(EXPORT_SYMBOL, int, vfio_pin_pages,
	 struct vfio_device *device, dma_addr_t iova, int npage, int prot, struct page **pages);
FUNCTION(EXPORT_SYMBOL, void, vfio_unpin_pages,
	 struct vfio_device *device, dma_addr_t iova, int npage);
FUNCTION(EXPORT_SYMBOL, int, vfio_dma_rw,
	 struct vfio_device *device, dma_addr_t iova, void *data, size_t len, bool write);
