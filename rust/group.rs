// SPDX-License-Identifier: GPL-2.0-only

//! Groups: `/dev/vfio/$GROUP`, the legacy way to devices, and its exclusion of the modern one.
//!
//! C counterpart: `group.c`.
//!
//! The devices of one IOMMU group cannot be kept apart, so a group is used through its own file or
//! through files of its devices, never both: that is one value, [`Users`].
//!
//! Locks: [`GROUPS`], the table, is outside each group's own lock, which is outside the device
//! sets'.  The list of a group's devices has a lock of its own, which is held over the driver's
//! `match`; inside it are the driver's.  [`NODES`] is a leaf.

pub(crate) mod backend;
pub(crate) mod table;

use crate::{
    container::{Container, ContainerMembership},
    kapi::{
        device::has_iommu,
        iommu::{enforces_coherency, IommuGroup},
        iommufd::Ctx,
        kvm::KvmSlot,
        ratelimit::RateLimit,
        uaccess::UserString,
    },
    refusal::{Reason, Refusal},
    shared::vfio::{iommu_driver::GroupType, severable::Epoch, RegistrationRef},
    sva::{self, BoundProcesses},
};
use core::num::NonZeroU32;
use kernel::{
    new_mutex,
    prelude::*,
    rbtree::{RBTree, RBTreeNodeReservation},
    sync::{aref::ARef, Arc, Mutex},
};
use table::Node;

pub(crate) use table::{Membership, GROUPS, NODES};

/// What stands between a device and memory.
pub(crate) enum Backing {
    /// An IOMMU, which made the group.
    Iommu(IommuGroup),
    /// The driver: it emulates the device and does its DMA by software.
    Emulated,
    /// Nothing: user space can make the device overwrite any memory.
    NoIommu,
}

impl Backing {
    /// Of a physical device.
    ///
    /// `noiommu_mode` is the administrator's word that devices without an IOMMU may be used.
    ///
    /// # Errors
    ///
    /// `EINVAL` for a device without a group unless in that mode, and for one that is in a group
    /// though it has no IOMMU: iommufd would take it for one without isolation.
    pub(crate) fn of_physical(dev: &kernel::device::Device, noiommu_mode: bool) -> Result<Self> {
        match IommuGroup::of(dev) {
            Some(group) if has_iommu(dev) => Ok(Self::Iommu(group)),
            None if noiommu_mode => Ok(Self::NoIommu),
            _ => Err(EINVAL),
        }
    }

    /// Whether there is no IOMMU.
    pub(crate) fn is_noiommu(&self) -> bool {
        matches!(self, Self::NoIommu)
    }

    /// The same without the group.
    fn kind(&self) -> GroupType {
        match self {
            Self::Iommu(_) => GroupType::Iommu,
            Self::Emulated => GroupType::Emulated,
            Self::NoIommu => GroupType::NoIommu,
        }
    }
}

/// What user space gives a group, by which its devices reach memory.
pub(crate) enum Provider {
    Container(Arc<Container>),
    Iommufd(ARef<Ctx>),
}

/// A provider that is set.
enum Provided {
    Container {
        place: ContainerMembership,
        /// How many devices are open by it, or about to be.
        opens: u32,
    },
    Iommufd(ARef<Ctx>),
}

/// What a group's file has been given.
enum Provision {
    None,
    /// It is being set or taken back, without the group's lock: both can wait for others, for the
    /// mappings of a container and for page requests in flight among them.
    Changing,
    Set(Provided),
}

/// Who uses a group.  Both at once cannot be written down.
enum Users {
    None,
    /// The group's file, perhaps with what its devices reach memory by.
    GroupFile(Provision),
    /// So many files of its devices, bound or about to be.
    Cdevs(NonZeroU32),
}

impl Users {
    /// Whether something is set for the group's file, and whether that is being changed.
    fn provision(&self) -> (bool, bool) {
        match self {
            Self::GroupFile(Provision::Set(_)) => (true, false),
            Self::GroupFile(Provision::Changing) => (false, true),
            _ => (false, false),
        }
    }
}

struct Inner {
    /// None once the last device has left.
    iommu_group: Option<IommuGroup>,
    users: Users,
}

/// Room for a device in a group's list.
pub(crate) struct Room {
    key: u64,
    node: RBTreeNodeReservation<u64, Listed>,
}

impl Room {
    /// By which the device is found on the list.
    pub(crate) fn key(&self) -> u64 {
        self.key
    }
}

/// A device that can be opened by its group.
struct Listed {
    device: RegistrationRef,
    /// Which of its registrations this is.
    epoch: Epoch,
}

/// Devices of a group, by numbers that fall: the latest comes first.  Unregistration takes a device
/// off before it waits for those who use it.
struct Devices {
    registrations: RBTree<u64, Listed>,
    /// The number of the next.
    next: u64,
}

/// A group of devices that VFIO drivers have registered.
#[pin_data]
pub(crate) struct Group {
    kind: GroupType,
    /// The id of its IOMMU group.
    id: i32,
    /// The machine that KVM says its file belongs to.
    #[pin]
    kvm: KvmSlot,
    /// Its minor; None on a kernel without nodes for groups.
    node: Option<Node>,
    /// Held over a change of what its file has been given.
    #[pin]
    change: Mutex<()>,
    #[pin]
    inner: Mutex<Inner>,
    /// The devices that can be opened by it.
    #[pin]
    devices: Mutex<Devices>,
    /// How often the log says that an open was refused.
    #[pin]
    refusals: RateLimit,
}

/// What `VFIO_GROUP_GET_STATUS` tells.
pub(crate) struct Status {
    /// A container or an iommufd is set.
    pub(crate) provided: bool,
    /// As far as one can see before a device is opened, no driver of the host does DMA in the
    /// group.
    pub(crate) viable: bool,
}

impl Group {
    fn new(
        iommu_group: Option<IommuGroup>,
        kind: GroupType,
        node: Option<Node>,
    ) -> impl PinInit<Self> {
        let id = iommu_group.as_ref().map_or(-1, IommuGroup::id);
        pin_init!(Self {
            kind,
            id,
            kvm <- KvmSlot::new(),
            node,
            change <- new_mutex!((), "Group::change"),
            inner <- new_mutex!(Inner {
                iommu_group,
                users: Users::None,
            }, "Group::inner"),
            devices <- new_mutex!(Devices {
                registrations: RBTree::new(),
                next: u64::MAX,
            }),
            refusals <- RateLimit::new(c"refused opens of a group"),
        })
    }

    /// How its devices reach memory.
    pub(crate) fn kind(&self) -> GroupType {
        self.kind
    }

    /// Whether there is no IOMMU.
    pub(crate) fn is_noiommu(&self) -> bool {
        self.kind == GroupType::NoIommu
    }

    /// The id of its IOMMU group, by which user space knows it.
    pub(crate) fn id(&self) -> i32 {
        self.id
    }

    /// The limit of what the log says of refusals.
    pub(crate) fn refusals(&self) -> &RateLimit {
        &self.refusals
    }

    /// Where KVM notes its machine.
    pub(crate) fn kvm(&self) -> &KvmSlot {
        &self.kvm
    }

    /// Counts a device file as a user of the group, until the token is dropped.
    ///
    /// # Errors
    ///
    /// `EBUSY` when the group's own file is open.
    pub(crate) fn block(self: &Arc<Self>) -> Result<GroupBlock> {
        let mut inner = self.inner.lock();
        let count = match inner.users {
            Users::None => NonZeroU32::MIN,
            Users::GroupFile(_) => return Err(EBUSY),
            Users::Cdevs(count) => count.checked_add(1).ok_or(EBUSY)?,
        };
        inner.users = Users::Cdevs(count);
        Ok(GroupBlock(self.clone()))
    }

    /// Marks the group as used by its own file.
    ///
    /// # Errors
    ///
    /// In this order: `ENODEV` when the last device has left; `EPERM` without an IOMMU, unless
    /// `privileged`; `EBUSY` when the group is in use either way.
    pub(crate) fn open(&self, privileged: impl FnOnce() -> bool) -> Result<(), Refusal> {
        let mut inner = self.inner.lock();
        if inner.iommu_group.is_none() {
            return Err(ENODEV.into());
        }
        if self.is_noiommu() && !privileged() {
            return Err(Reason::NeedsRawIo.with(EPERM));
        }
        match inner.users {
            Users::None => {
                inner.users = Users::GroupFile(Provision::None);
                Ok(())
            }
            Users::GroupFile(_) => Err(Reason::GroupFileOpen.with(EBUSY)),
            Users::Cdevs(_) => Err(Reason::DeviceBound.with(EBUSY)),
        }
    }

    /// The end of [`open`](Self::open).
    pub(crate) fn close(&self) {
        let _change = self.change.lock();
        let mut inner = self.inner.lock();
        if let Users::GroupFile(provision @ Provision::Set(_)) = &mut inner.users {
            let provided = core::mem::replace(provision, Provision::Changing);
            drop(inner);
            // The file is in use until this is done: whoever opens the group next finds it free.
            drop(provided);
            inner = self.inner.lock();
        }
        inner.users = Users::None;
    }

    /// What can be told of the group.
    ///
    /// # Errors
    ///
    /// `ENODEV` when the last device has left.
    pub(crate) fn status(&self) -> Result<Status> {
        let inner = self.inner.lock();
        let group = inner.iommu_group.as_ref().ok_or(ENODEV)?;
        let (provided, changing) = inner.users.provision();
        if provided || changing {
            return Ok(Status {
                provided,
                viable: true,
            });
        }
        let group = group.clone();
        // The IOMMU core may hold its lock of the group over page requests in flight.
        drop(inner);
        if !group.dma_owner_claimed() {
            return Ok(Status {
                provided: false,
                viable: true,
            });
        }
        // By the group's own user in the meantime?
        let (provided, changing) = self.inner.lock().users.provision();
        Ok(Status {
            provided,
            viable: provided || changing,
        })
    }

    /// Sets what the group's devices reach memory by.  An iommufd is prepared for the ioctls of
    /// containers.
    ///
    /// # Errors
    ///
    /// In this order: `EINVAL` when something is set; `ENODEV` when the last device has left;
    /// those of `lookup`; those of [`ContainerMembership::take`], or for an iommufd `EINVAL` when it
    /// serves groups with an IOMMU and this one has none, or the other way round, and `ENOMEM`.
    pub(crate) fn set(&self, lookup: impl FnOnce() -> Result<Provider>) -> Result {
        let _change = self.change.lock();
        let mut inner = self.inner.lock();
        let Inner { iommu_group, users } = &mut *inner;
        let Users::GroupFile(provision @ Provision::None) = users else {
            return Err(EINVAL);
        };
        let iommu_group = iommu_group.as_ref().ok_or(ENODEV)?.clone();
        *provision = Provision::Changing;
        drop(inner);

        let provided = lookup().and_then(|provider| self.provide(provider, iommu_group));

        let (provision, result) = match provided {
            Ok(provided) => (Provision::Set(provided), Ok(())),
            Err(e) => (Provision::None, Err(e)),
        };
        self.inner.lock().users = Users::GroupFile(provision);
        result
    }

    fn provide(&self, provider: Provider, iommu_group: IommuGroup) -> Result<Provided> {
        match provider {
            Provider::Container(container) => Ok(Provided::Container {
                place: ContainerMembership::take(container, iommu_group, self.kind)?,
                opens: 0,
            }),
            Provider::Iommufd(ctx) => {
                match self.is_noiommu() {
                    true => ctx.set_compat_noiommu()?,
                    false => ctx.create_compat_ioas()?,
                }
                Ok(Provided::Iommufd(ctx))
            }
        }
    }

    /// Takes back what is set.  Devices that are open by an iommufd stay so.
    ///
    /// # Errors
    ///
    /// `EINVAL` when nothing is set; `EBUSY` when a device is open by the container.
    pub(crate) fn unset(&self) -> Result {
        let _change = self.change.lock();
        let mut inner = self.inner.lock();
        let Users::GroupFile(provision) = &mut inner.users else {
            return Err(EINVAL);
        };
        let provided = match provision {
            Provision::None | Provision::Changing => return Err(EINVAL),
            Provision::Set(Provided::Container { opens, .. }) if *opens != 0 => return Err(EBUSY),
            Provision::Set(_) => core::mem::replace(provision, Provision::Changing),
        };
        drop(inner);
        drop(provided);
        self.inner.lock().users = Users::GroupFile(Provision::None);
        Ok(())
    }

    /// The processes of its container, if it is in one.
    pub(crate) fn processes(&self) -> Option<Arc<BoundProcesses>> {
        match &self.inner.lock().users {
            Users::GroupFile(Provision::Set(Provided::Container { place, .. })) => {
                Some(place.container().processes().clone())
            }
            _ => None,
        }
    }

    /// Ends what processes of its container have with a device that leaves while others stay: bound
    /// before the others came, for a group must have one device only.
    fn remove_from_processes(&self, dev: &kernel::device::Device) {
        // A change of the group can take long, and is nothing to a device without bonds.
        if !sva::is_used() {
            return;
        }
        let _change = self.change.lock();
        if let Some(processes) = self.processes() {
            processes.remove_device(dev);
        }
    }

    /// Room for one more device, which comes before those that are there.
    ///
    /// # Errors
    ///
    /// `ENOMEM`.
    pub(crate) fn room(&self) -> Result<Room> {
        let node = RBTreeNodeReservation::new(GFP_KERNEL)?;
        let mut devices = self.devices.lock();
        let key = devices.next;
        devices.next = key.wrapping_sub(1);
        Ok(Room { key, node })
    }

    /// Lets a device be opened by its name, until [`remove`](Self::remove).
    pub(crate) fn add(&self, room: Room, device: RegistrationRef, epoch: Epoch) {
        let Room { key, node } = room;
        let node = node.into_node(key, Listed { device, epoch });
        self.devices.lock().registrations.insert(node);
    }

    /// The end of [`add`](Self::add), by the key of the room.
    pub(crate) fn remove(&self, key: u64) {
        let removed = self.devices.lock().registrations.remove(&key);
        drop(removed);
    }

    /// Whether the IOMMU makes all DMA of the group's devices coherent, whatever they ask for.  A device
    /// that is being unregistered does not count.
    pub(crate) fn enforces_coherency(&self) -> bool {
        let devices = self.devices.lock();
        let mut registrations = devices.registrations.values();
        registrations.all(|listed| enforces_coherency(listed.device.parent()))
    }

    /// The device that goes by a name; the latest is asked first.
    ///
    /// # Errors
    ///
    /// `ENODEV` when there is none; the errno of a driver that looks at the name.
    pub(crate) fn find(&self, name: &mut UserString) -> Result<(RegistrationRef, Epoch)> {
        for Listed { device, epoch } in self.devices.lock().registrations.values() {
            // Most devices are another: that costs no reference.
            if !device.has_name(name)? {
                continue;
            }
            // The list has a reference, so there is one more.
            if let Some(found) = RegistrationRef::try_get(device) {
                return Ok((found, *epoch));
            }
        }
        Err(ENODEV)
    }

    /// Nothing more can be done with the group: the last device leaves.  The drop of the result is the
    /// rest.
    fn revoke(self: &Arc<Self>) -> Revoked {
        Revoked {
            _iommu_group: self.inner.lock().iommu_group.take(),
            group: self.clone(),
        }
    }
}

/// A group whose last device leaves.
struct Revoked {
    group: Arc<Group>,
    _iommu_group: Option<IommuGroup>,
}

/// The group leaves its container; an iommufd stays until the file is closed, as in the C core.  To be
/// dropped without locks of ours: changes in progress are waited for, and page requests in flight.
impl Drop for Revoked {
    fn drop(&mut self) {
        let _change = self.group.change.lock();
        let mut inner = self.group.inner.lock();
        let provided = match &mut inner.users {
            Users::GroupFile(provision @ Provision::Set(Provided::Container { .. })) => {
                core::mem::replace(provision, Provision::None)
            }
            _ => Provision::None,
        };
        drop(inner);
        drop(provided);
    }
}

/// Keeps a group's own file closed, for a device file that is bound.
pub(crate) struct GroupBlock(Arc<Group>);

impl Drop for GroupBlock {
    fn drop(&mut self) {
        let mut inner = self.0.inner.lock();
        inner.users = match inner.users {
            Users::Cdevs(count) => match NonZeroU32::new(count.get() - 1) {
                Some(count) => Users::Cdevs(count),
                None => Users::None,
            },
            // A block counts itself in, so neither of these can be.
            Users::None | Users::GroupFile(_) => return,
        };
    }
}
