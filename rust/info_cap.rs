// SPDX-License-Identifier: GPL-2.0-only

//! The chain of capabilities that follows an info structure: pure logic on bytes.
//!
//! C counterpart: `vfio_info_cap_add()` and `vfio_info_cap_shift()`.  A capability begins with a header of 8
//! bytes, `{ u16 id, u16 version, u32 next }`, in native byte order.  `next` is the offset of the following
//! capability, or 0 in the last capability.

/// The size of a header in bytes.
pub(crate) const HEADER_SIZE: usize = 8;

const NEXT: usize = 4;

/// Returns the padded size of a capability of `size` bytes, so that the next capability is aligned.  None on
/// overflow.
pub(crate) fn padded(size: usize) -> Option<usize> {
    size.checked_next_multiple_of(core::mem::size_of::<u64>())
}

/// The bytes of a chain, accessed as 32-bit numbers in native byte order.
pub(crate) trait Words {
    /// Returns the number at offset `at`.  None if it is not in the chain.
    fn word(&self, at: usize) -> Option<u32>;

    /// Writes the number at offset `at`.  None if it is not in the chain.
    fn set_word(&mut self, at: usize, number: u32) -> Option<()>;
}

#[cfg(not(test))]
impl Words for crate::shared::vfio::info_caps::ChainWords<'_> {
    #[inline]
    fn word(&self, at: usize) -> Option<u32> {
        self.get(at)
    }

    #[inline]
    fn set_word(&mut self, at: usize, number: u32) -> Option<()> {
        self.set(at, number)
    }
}

/// Returns the first four bytes of a header as a number.
fn head(id: u16, version: u16) -> u32 {
    let ([a, b], [c, d]) = (id.to_ne_bytes(), version.to_ne_bytes());
    u32::from_ne_bytes([a, b, c, d])
}

/// Appends a capability to the chain: writes its header at `at`, where its zeroed bytes begin, and links the
/// last capability to it.
///
/// Returns None if there is no space for a header at `at`, or if the chain is broken.
pub(crate) fn link(chain: &mut impl Words, at: usize, id: u16, version: u16) -> Option<()> {
    chain.word(at.checked_add(NEXT)?)?;
    chain.set_word(at, head(id, version))?;
    // Each step must go forward, so the walk ends.
    let mut last = NEXT;
    loop {
        let next = chain.word(last)?;
        if next == 0 {
            return chain.set_word(last, u32::try_from(at).ok()?);
        }
        let next = (next as usize).checked_add(NEXT)?;
        if next <= last {
            return None;
        }
        last = next;
    }
}

/// Adds `offset` to every link, for a chain that is copied to user space `offset` bytes behind the start of
/// the info structure.
///
/// The walk ends at a link that points out of the chain or backwards.
pub(crate) fn shift(chain: &mut impl Words, offset: u32) {
    let mut at = NEXT;
    while let Some(next) = chain.word(at) {
        if next == 0 {
            return;
        }
        let Some(shifted) = next.checked_add(offset) else {
            return;
        };
        // The number was read above, so it is in the chain.
        let _ = chain.set_word(at, shifted);
        match (next as usize).checked_add(NEXT) {
            Some(next) if next > at => at = next,
            _ => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Words for Vec<u8> {
        fn word(&self, at: usize) -> Option<u32> {
            let bytes = self.get(at..at.checked_add(4)?)?;
            Some(u32::from_ne_bytes(bytes.try_into().ok()?))
        }

        fn set_word(&mut self, at: usize, number: u32) -> Option<()> {
            let bytes = self.get_mut(at..at.checked_add(4)?)?;
            bytes.copy_from_slice(&number.to_ne_bytes());
            Some(())
        }
    }

    fn chain(ids: &[u16]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for id in ids {
            let at = bytes.len();
            bytes.resize(at + 16, 0);
            link(&mut bytes, at, *id, 1).unwrap();
        }
        bytes
    }

    fn walk(bytes: &Vec<u8>, offset: usize) -> Vec<(usize, u16)> {
        let mut found = Vec::new();
        let mut at = 0;
        loop {
            found.push((at, u16::from_ne_bytes([bytes[at], bytes[at + 1]])));
            match bytes.word(at + NEXT).unwrap() as usize {
                0 => return found,
                next => at = next - offset,
            }
        }
    }

    #[test]
    fn a_chain_has_all_its_members_in_order() {
        assert_eq!(walk(&chain(&[7, 8, 9]), 0), [(0, 7), (16, 8), (32, 9)]);
    }

    #[test]
    fn shifting_moves_every_link_and_leaves_the_last_zero() {
        let mut bytes = chain(&[7, 8, 9]);
        shift(&mut bytes, 32);
        assert_eq!(walk(&bytes, 32), [(0, 7), (16, 8), (32, 9)]);
        assert_eq!(bytes.word(NEXT), Some(48));
    }

    #[test]
    fn one_member_or_none_is_left_alone() {
        let mut bytes = chain(&[7]);
        let before = bytes.clone();
        shift(&mut bytes, 32);
        assert_eq!(bytes, before);
        shift(&mut vec![], 32);
    }

    #[test]
    fn broken_chains_end() {
        let mut bytes = chain(&[7, 8]);
        // A link that points to itself.
        bytes[16 + NEXT..16 + NEXT + 4].copy_from_slice(&16u32.to_ne_bytes());
        shift(&mut bytes.clone(), 8);
        assert_eq!(link(&mut bytes, 16, 1, 1), None);
        // No space for a header.
        assert_eq!(link(&mut vec![0; 12], 8, 1, 1), None);
        assert_eq!(link(&mut vec![0; 8], usize::MAX, 1, 1), None);
    }

    #[test]
    fn padding() {
        assert_eq!(padded(0), Some(0));
        assert_eq!(padded(1), Some(8));
        assert_eq!(padded(8), Some(8));
        assert_eq!(padded(usize::MAX), None);
    }
}
